"""Export + report + decision -> model version with its aliases."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def register(
    exported: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.Artifact],
    decision: str,
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
) -> str:
    """Register the model, point `challenger` (and `champion`, when promoted) at it; returns the version."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        return steps.register(Path(exported.path), Path(report.path), decision, model_name, True, tracking)
