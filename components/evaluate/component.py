"""Model bundle + holdout -> report and decision."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def evaluate(
    bundle: dsl.Input[dsl.Model],
    data: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    report: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> str:
    """Judge the model beside the champion on the frozen holdout; returns promote, hold or reject."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        return steps.evaluate(
            Path(bundle.path),
            Path(data.path),
            preset,
            settings,
            Path(report.path),
            model_name,
            tracking,
            Path(page.path),
        )
