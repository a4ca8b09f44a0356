"""Image set -> image set with an enlarged training split."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def augment(
    data: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    augmented: dsl.Output[dsl.Dataset],
) -> None:
    """Add mirrored, jittered and balancing copies to the training split; the holdout stays as it is."""
    from pathlib import Path

    from faceforge.steps.artifacts import image_set_metadata
    from faceforge.steps.augment import run_augment
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_augment(
            data=Path(data.path),
            preset=preset,
            settings=settings,
            out=Path(augmented.path),
            tracking=tracking,
        )
        augmented.metadata.update(image_set_metadata(Path(augmented.path), tracking))
