"""Model bundle -> the formats others load, and sheets of samples."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def export(
    bundle: dsl.Input[dsl.Model],
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    exported: dsl.Output[dsl.Artifact],
) -> None:
    """Write the bundle, Keras, HDF5 and SavedModel formats and a sheet of samples per class."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        steps.export(Path(bundle.path), Path(exported.path), tracking)
