"""Model bundle -> the formats that other programs load, and contact sheets of samples."""

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
    """Write the bundle, Keras, HDF5, ONNX and SavedModel formats and a contact sheet of samples per class."""
    from pathlib import Path

    from faceforge.steps.export import run_export
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_export(
            bundle=Path(bundle.path),
            out=Path(exported.path),
            tracking=tracking,
        )
