"""Source -> image set (train and frozen holdout)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def ingest(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    checkpoint_root: str,
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    data: dsl.Output[dsl.Dataset],
) -> None:
    """Decode, check, de-duplicate, resize and split the images of a source; a retry keeps what is prepared."""
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
            work=tracking.work_folder(checkpoint_root, "prepared"),
            model_name=model_name,
            for_evaluation=True,
            tracking=tracking,
        )
        data.metadata.update(image_set_metadata(Path(data.path), tracking))
