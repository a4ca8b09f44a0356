"""Image set of a search -> the trials of one worker."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def search(
    shared: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    worker: int,
    workers: int,
    checkpoint_root: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    trials: dsl.Output[dsl.Artifact],
) -> None:
    """Train settings that the common study proposes; a retry continues under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps.search import run_search
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_search(
            shared=Path(shared.path),
            preset=preset,
            settings=settings,
            budget=budget,
            space=space,
            seeds=seeds,
            worker=int(worker),  # kfp passes integers of a list as floats
            workers=int(workers),
            work=tracking.work_folder(checkpoint_root, f"tune/search-{int(worker)}"),
            out=Path(trials.path),
            tracking=tracking,
        )
