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
    """Decode, check, de-duplicate, resize and split the images of a source; a retry goes on with what is prepared."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        key = run_key or job
        tracking = steps.Tracking(tracking_uri, experiment, key, {"faceforge.pipeline_job": job})
        kept = checkpoint_root and "://" not in checkpoint_root  # buckets take checkpoints alone
        work = str(Path(checkpoint_root) / key / "prepared") if kept else ""
        steps.ingest(source, labels, preset, settings, Path(data.path), tracking, work, (), model_name)
