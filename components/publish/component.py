"""Synthetic image set + verdict -> published set."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def publish(
    dataset: dsl.Input[dsl.Dataset],
    report: dsl.Input[dsl.Artifact],
    destination: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
) -> str:
    """Copy the set to its destination, unless it was refused; returns its address."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        return steps.publish(Path(dataset.path), Path(report.path), destination, tracking)
