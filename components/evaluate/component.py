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
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Evaluate the model on the frozen holdout, compare it with the champion; returns promote, hold or reject."""
    from pathlib import Path

    from faceforge.steps.artifacts import evaluation_metrics, show_metrics
    from faceforge.steps.evaluate import run_evaluate
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        decision = run_evaluate(
            bundle=Path(bundle.path),
            data=Path(data.path),
            preset=preset,
            settings=settings,
            out=Path(report.path),
            model_name=model_name,
            tracking=tracking,
            page=Path(page.path),
        )
        show_metrics(metrics, evaluation_metrics(Path(report.path)))
        return decision
