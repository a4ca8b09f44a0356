"""Model -> synthetic image set."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def generate(
    model: str,
    data: str,
    settings: str,
    checkpoint_root: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    dataset: dsl.Output[dsl.Dataset],
) -> None:
    """Generate labelled images with a registered model; a retry keeps the parts under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps.artifacts import image_set_metadata
    from faceforge.steps.generate import run_generate
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_generate(
            model=model,
            data=Path(data) if data else None,
            settings=settings,
            out=Path(dataset.path),
            work=tracking.work_folder(checkpoint_root, "parts"),
            tracking=tracking,
        )
        dataset.metadata.update(image_set_metadata(Path(dataset.path), tracking))
