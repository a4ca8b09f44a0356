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
) -> None:
    """Train the two networks; a retry goes on from the last checkpoint under `checkpoint_root`/run key."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        key = run_key or job
        tracking = steps.Tracking(tracking_uri, experiment, key, {"faceforge.pipeline_job": job})
        checkpoints = f"{checkpoint_root.rstrip('/')}/{key}/checkpoints" if checkpoint_root else ""
        steps.train(Path(data.path), preset, settings, Path(bundle.path), checkpoints, tracking, model_name)
