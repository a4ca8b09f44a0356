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
    """Draw labelled images with a registered model; a retry goes on from the parts under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        key = run_key or job
        tracking = steps.Tracking(tracking_uri, experiment, key, {"faceforge.pipeline_job": job})
        kept = checkpoint_root and "://" not in checkpoint_root  # buckets take checkpoints alone
        work = str(Path(checkpoint_root) / key / "parts") if kept else ""
        steps.generate(model, data, settings, Path(dataset.path), work, tracking)
