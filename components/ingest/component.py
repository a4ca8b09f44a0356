"""Source -> image set (train and frozen holdout)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def ingest(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    data: dsl.Output[dsl.Dataset],
) -> None:
    """Decode, check, de-duplicate, resize and split the images of a source."""
    from pathlib import Path

    from faceforge import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        steps.ingest(source, labels, preset, settings, Path(data.path), tracking)
