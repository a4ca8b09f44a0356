"""Prepared shares of a source -> the image set that `ingest` alone would write."""

from typing import List  # noqa: UP035 - kfp knows lists of artifacts by this name

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def merge(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    prepared: dsl.Input[List[dsl.Dataset]],  # noqa: UP006
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    data: dsl.Output[dsl.Dataset],
) -> None:
    """De-duplicate, split and write the images of all shares."""
    from pathlib import Path

    from faceforge.steps.artifacts import image_set_metadata
    from faceforge.steps.ingest import run_ingest
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_ingest(
            source=source,
            labels=labels or None,
            preset=preset,
            settings=settings,
            out=Path(data.path),
            prepared=[Path(share.path) for share in prepared],
            model_name=model_name,
            for_evaluation=True,
            tracking=tracking,
        )
        data.metadata.update(image_set_metadata(Path(data.path), tracking))
