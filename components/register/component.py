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
    page: dsl.Output[dsl.Markdown],
) -> str:
    """Register the model, point `challenger` (and `champion`, if promoted) at it; returns the version."""
    from pathlib import Path

    from faceforge.steps.register import run_register
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        return run_register(
            exported=Path(exported.path),
            report=Path(report.path),
            decision=decision,
            model_name=model_name,
            page=Path(page.path),
            tracking=tracking,
        )
