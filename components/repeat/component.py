"""Chosen settings -> one worker's trials of them with other seeds."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def repeat(
    shared: dsl.Input[dsl.Dataset],
    chosen: dsl.Input[dsl.Artifact],
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
    """Train the preset and the best settings with further seeds; a retry continues under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps.repeat import run_repeat
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_repeat(
            shared=Path(shared.path),
            chosen=Path(chosen.path),
            preset=preset,
            settings=settings,
            budget=budget,
            space=space,
            seeds=seeds,
            worker=int(worker),  # kfp passes integers of a list as floats
            workers=int(workers),
            work=tracking.work_folder(checkpoint_root, f"tune/repeat-{int(worker)}"),
            out=Path(trials.path),
            tracking=tracking,
        )
