"""Training images -> model bundle."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def train(
    data: dsl.Input[dsl.Dataset],
    preset: str,
    settings: str,
    checkpoint_root: str,
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    bundle: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    workers: int = 1,
) -> None:
    """Train the two networks; a retry continues from the last checkpoint under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps.artifacts import bundle_metadata, show_metrics, training_metrics
    from faceforge.steps.tracked import component_tracking
    from faceforge.steps.train import run_train
    from faceforge.steps.training_page import write_training_page

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        work = tracking.work_folder(checkpoint_root, "training") or Path(f"{bundle.path}.training")
        run_train(
            data=Path(data.path),
            preset=preset,
            settings=settings,
            work=work,
            checkpoints=tracking.checkpoints(checkpoint_root),
            model_name=model_name,
            out=Path(bundle.path),
            workers=int(workers),
            tracking=tracking,
        )
        bundle.metadata.update(bundle_metadata(Path(bundle.path), tracking))
        show_metrics(metrics, training_metrics(Path(bundle.path), work))
        write_training_page(work, Path(page.path), bundle.metadata)
