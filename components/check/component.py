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

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        return steps.check(Path(dataset.path), Path(report.path), tracking)
