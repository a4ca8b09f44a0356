"""Exports a model bundle to other formats, each of which is read back and compared with the bundle.

bundle/                    the bundle, by default without its discriminator
generator.keras            Keras 3
generator.h5               Keras' legacy whole-model file
generator.weights.h5       weights alone
generator.onnx             ONNX, with label vocabularies in its metadata: all that `faceforge[lite]` needs
saved_model/               TensorFlow SavedModel; signature "serve": latents [, labels] -> images in [-1, 1]
samples/CLASS.png, all.png contact sheets of samples
export.json                size and SHA-256 of every file
"""

from __future__ import annotations

import json
import shutil
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceforge.compute.quiet import errors_only
from faceforge.data.overview.contact_sheet import image_grid, save_png
from faceforge.errors import FaceForgeError
from faceforge.export.onnx import onnx_images, write_onnx
from faceforge.files import atomic_folder, safe_name, sha256_file, shortened
from faceforge.inference.generator import Generator
from faceforge.models.bundle import DISCRIMINATOR_FILE, Bundle, BundleInfo
from faceforge.models.sampling import draw_latents

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-5  # of images in [-1, 1], in float32 on a CPU
SHEET_SIDE = 8  # a contact sheet shows 8 x 8 images
MAX_SHEETS = 48  # with more combinations of classes, there is a contact sheet per class of each column instead

_PROBES = 8  # latents from which all formats are compared


def export_bundle(bundle: Path, out: Path, with_discriminator: bool | None = None) -> dict[str, Path]:
    """Writes a bundle in all formats into the folder `out`, atomically.

    The discriminator is left out by default: membership of an image in the training set can be guessed from its logits.

    Args:
        bundle: the bundle's folder.
        out: folder to write; replaced if it exists.
        with_discriminator: include it; None: as `export.with_discriminator` was set in training.

    Returns:
        Name -> path: bundle, keras, h5, weights, onnx, saved_model, samples (folder), sheet (`samples/all.png`),
        listing.

    Raises:
        FaceForgeError: the bundle is unreadable, or a format does not reproduce its images.
    """
    bundle, out = Path(bundle), Path(out)
    if out.resolve() == bundle.resolve() or out.resolve() in bundle.resolve().parents:
        raise FaceForgeError(
            f"export folder {out} contains the bundle {bundle} and would replace it; choose another folder"
        )
    config = BundleInfo.read(bundle).config  # before Keras is imported
    if with_discriminator is None:
        with_discriminator = bool(config.get("export", {}).get("with_discriminator", False))
    import keras

    if keras.backend.backend() != "tensorflow":
        raise FaceForgeError("export writes a SavedModel, which needs TensorFlow; unset KERAS_BACKEND and run it again")
    loaded = Bundle.load(bundle)
    names = {
        "bundle": "bundle",
        "keras": "generator.keras",
        "h5": "generator.h5",
        "weights": "generator.weights.h5",
        "onnx": "generator.onnx",
        "saved_model": "saved_model",
        "samples": "samples",
        "sheet": "samples/all.png",
        "listing": "export.json",
    }
    with atomic_folder(out) as partial:
        paths = {name: partial / path for name, path in names.items()}
        left_out = () if with_discriminator else (DISCRIMINATOR_FILE,)
        shutil.copytree(bundle, paths["bundle"], ignore=shutil.ignore_patterns(*left_out))
        shutil.copyfile(bundle / "generator.keras", paths["keras"])
        _write_models(loaded, paths)
        _write_contact_sheets(Generator(loaded), paths["samples"])
        _write_listing(loaded, partial, paths["listing"])
    return {name: out / path for name, path in names.items()}


def _write_models(loaded: Bundle, paths: dict[str, Path]) -> None:
    """Writes the derived formats; each is read back and compared."""
    import keras

    from faceforge.models.build import build_networks

    generator, probe = loaded.generator, _probe(loaded)
    expected = _images(generator, probe)
    twin, _ = build_networks(loaded.info.spec)  # with other weights
    generator.save_weights(paths["weights"])
    twin.load_weights(paths["weights"])
    _compare(paths["weights"].name, _images(twin, probe), expected, loaded)

    with errors_only("absl"):  # without the warning that HDF5 is a legacy format: it is written for legacy programs
        keras.saving.save_model(twin, paths["h5"])  # networks of earlier versions have parts that HDF5 cannot hold
    _compare(paths["h5"].name, _images(keras.saving.load_model(paths["h5"], compile=False), probe), expected, loaded)

    write_onnx(loaded, paths["onnx"])
    _compare(paths["onnx"].name, onnx_images(paths["onnx"], probe), expected, loaded)

    generator.export(paths["saved_model"], format="tf_saved_model", verbose=False)
    _compare("saved_model", saved_model_images(paths["saved_model"], probe), expected, loaded)


def saved_model_images(folder: Path, inputs: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Images float32 (N, H, W, C) from an exported SavedModel; inputs are latents (N, Z) [, labels (N, columns)]."""
    import tensorflow as tf

    restored = tf.saved_model.load(str(folder))
    return np.asarray(restored.serve(inputs if len(inputs) > 1 else inputs[0]))


def _probe(loaded: Bundle) -> list[NDArray[Any]]:
    """Latents [and labels] that use every class of every column."""
    info = loaded.info
    count = max(_PROBES, *(len(classes) for classes in info.labels.values()), 0)
    latents = draw_latents(0, count, info.spec.latent_size)
    labels = [np.arange(count) % len(classes) for classes in info.labels.values()]
    return [latents, np.stack(labels, axis=1).astype(np.int32)] if labels else [latents]


def _images(network: keras.Model, probe: list[NDArray[Any]]) -> NDArray[np.float32]:
    return np.asarray(network.predict_on_batch(probe if len(probe) > 1 else probe[0]), np.float32)


def _compare(name: str, images: NDArray[np.float32], expected: NDArray[np.float32], loaded: Bundle) -> None:
    error = float(np.max(np.abs(images - expected)))
    if not error <= _tolerance(loaded):  # also when NaN
        raise FaceForgeError(f"{name} does not reproduce the bundle's images (largest difference {error:.2g})")


def _tolerance(loaded: Bundle) -> float:
    """Allowed difference: larger if the network or the GPU computes in reduced precision, whose rounding varies."""
    import tensorflow as tf

    reduced = any(layer.compute_dtype != "float32" for layer in loaded.generator.layers if layer.weights)
    return 0.05 if reduced or tf.config.list_physical_devices("GPU") else TOLERANCE


def _write_contact_sheets(generator: Generator, folder: Path) -> None:
    """Writes a contact sheet per combination of classes (or class), and one with a row of each."""
    folder.mkdir()
    rows = []
    for classes in _sheet_classes(generator.labels):
        images = generator.generate(SHEET_SIDE**2, attributes=classes).images
        rows.append(images[:SHEET_SIDE])
        if classes:
            save_png(folder / f"{sheet_name(classes)}.png", image_grid(images, SHEET_SIDE))
        else:
            rows = [images]
    save_png(folder / "all.png", image_grid(np.concatenate(rows), SHEET_SIDE))


def _sheet_classes(labels: dict[str, list[str]]) -> list[dict[str, str]]:
    """The classes that each contact sheet shows, as column -> class."""
    if prod(len(classes) for classes in labels.values()) > MAX_SHEETS:
        return [{column: name} for column, classes in labels.items() for name in classes]
    combinations: list[dict[str, str]] = [{}]
    for column, classes in labels.items():
        combinations = [{**combination, column: name} for combination in combinations for name in classes]
    return combinations


def sheet_name(classes: dict[str, str]) -> str:
    """`{"expression": "smiling"}` -> "expression-smiling"; several columns are joined by "_"; at most 200 bytes."""
    return shortened("_".join(f"{safe_name(column)}-{safe_name(name)}" for column, name in classes.items()), 200)


def _write_listing(loaded: Bundle, root: Path, path: Path) -> None:
    files = [
        {"path": file.relative_to(root).as_posix(), "bytes": file.stat().st_size, "sha256": sha256_file(file)}
        for file in sorted(root.rglob("*"))
        if file.is_file()
    ]
    info = loaded.info.model_dump(
        mode="json", include={"spec", "labels", "dataset_digest", "training", "privacy", "versions"}
    )
    path.write_text(json.dumps({"format_version": 1, "model": info, "files": files}, indent=2) + "\n")
