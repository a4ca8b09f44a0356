"""Synthetic image set -> verdict."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def check(
    dataset: dsl.Input[dsl.Dataset],
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    report: dsl.Output[dsl.Artifact],
) -> str:
    """Read the set again: hashes, counts, repeats, labels as a classifier sees them; returns publish or refuse."""
    from pathlib import Path

    from faceforge.steps.check import run_check
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        return run_check(
            dataset=Path(dataset.path),
            out=Path(report.path),
            tracking=tracking,
        )
