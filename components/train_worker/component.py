"""Training images -> a share of every batch; `train` is the first of the workers and keeps the model."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def train_worker(
    data: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    checkpoint_root: str,
    worker: int,
    workers: int,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
) -> None:
    """Train together with the pods of `train` and of the other workers, which meet under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps.tracked import component_tracking
    from faceforge.steps.train_worker import run_train_worker

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_train_worker(
            data=Path(data.path),
            preset=preset,
            settings=settings,
            checkpoints=tracking.checkpoints(checkpoint_root),
            worker=int(worker),  # kfp passes integers of a list as floats
            workers=int(workers),
            tracking=tracking,
        )
