"""Image set -> the image set of a search, with a validation split, and the classifier that scores its trials."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def split(
    data: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    workers: int,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    shared: dsl.Output[dsl.Dataset],
) -> None:
    """Carve a validation split from the training images, and train the classifier; the holdout is not used."""
    from pathlib import Path

    from faceforge.steps.split import run_split
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_split(
            data=Path(data.path),
            preset=preset,
            settings=settings,
            budget=budget,
            space=space,
            seeds=seeds,
            workers=int(workers),
            out=Path(shared.path),
            tracking=tracking,
        )
