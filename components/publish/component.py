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
    """Copy the set to its destination and return its address; fails if the check refused the set."""
    from pathlib import Path

    from faceforge.steps.publish import run_publish
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        return run_publish(
            dataset=Path(dataset.path),
            report=Path(report.path),
            destination=destination or None,
            tracking=tracking,
        )
