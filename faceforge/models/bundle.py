"""The model bundle: a folder with the two trained networks and a description of them.

    generator.keras       its weights are the moving average, if training kept one
    discriminator.keras   absent in a release bundle: it can reveal which images it was trained on
    bundle.json           architecture, sizes, label vocabularies, dataset digest, training summary, versions

All code that samples or scores loads a bundle. `BundleInfo.read` needs no TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from faceforge.errors import FaceForgeError, explain, first_line
from faceforge.files import atomic_folder
from faceforge.models.network_file import read_network
from faceforge.models.privacy import PrivacyStatement
from faceforge.models.ranges import from_uint8, with_uint8_output
from faceforge.models.spec import ModelSpec

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
_INFO_BYTES = 16 * 2**20
DISCRIMINATOR_FILE = "discriminator.keras"
NO_DISCRIMINATOR = (
    "this model has no discriminator: it was left out of the export because it can reveal training images; "
    "use the bundle that training wrote, or export with --with-discriminator"
)


class BundleInfo(BaseModel):
    """Contents of `bundle.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    spec: ModelSpec
    labels: dict[str, list[str]]  # condition columns in the networks' order -> classes; empty = unconditional
    loss: str  # with "relativistic", only differences of logits have a meaning
    dataset_digest: str
    holdout_digest: str = ""  # of the holdout images; models with the same digest can be compared
    holdout_sketch: list[str] = []  # digests of some holdout images, to recognise the same set after it has grown
    config: dict[str, Any]
    training: dict[str, Any]  # images_seen, seconds, images_per_second, ...
    privacy: PrivacyStatement | None = None  # None = trained without differential privacy
    versions: dict[str, str]

    @staticmethod
    def read(folder: Path) -> BundleInfo:
        """Reads the `bundle.json` of a folder.

        Raises:
            FaceForgeError: no bundle there, or one that this version cannot read.
        """
        path = Path(folder) / "bundle.json"
        if not path.is_file():
            raise FaceForgeError(f"{folder} is not a model bundle: it has no bundle.json")
        if path.stat().st_size > _INFO_BYTES:
            raise FaceForgeError(f"{path} is unreadable: larger than {_INFO_BYTES // 2**20} MiB")
        try:
            info = BundleInfo.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise FaceForgeError(f"{path} is unreadable: {explain(error)}") from None
        if info.format_version != FORMAT_VERSION:
            raise FaceForgeError(f"{path} has format {info.format_version}; this version reads {FORMAT_VERSION}")
        return info


class Bundle:
    """A trained generator and, except in a release bundle, its discriminator.

    Attributes:
        info: sizes, labels and history.
        generator: latents float32 (B, Z) [, labels int32 (B, columns)] -> float32 (B, H, W, C) in about [-1, 1].
        discriminator: images float32 (B, H, W, C) in [-1, 1] [, labels] -> logits float32 (B, 1); None in a release
            bundle.
    """

    def __init__(self, info: BundleInfo, generator: keras.Model, discriminator: keras.Model | None) -> None:
        self.info, self.generator, self.discriminator = info, generator, discriminator
        self._uint8_generator: keras.Model | None = None

    @staticmethod
    def load(folder: Path) -> Bundle:
        """Reads a bundle.

        Raises:
            FaceForgeError: no bundle there, or an unreadable one.
        """
        info = BundleInfo.read(folder)
        path, discriminator = Path(folder) / "generator.keras", Path(folder) / DISCRIMINATOR_FILE
        generator, size = _read(path), info.spec.image_size
        if generator.output_shape != (None, size, size, info.spec.channels):
            raise FaceForgeError(
                f"{path} does not make the images that bundle.json promises; download the bundle again"
            )
        return Bundle(info, generator, _read(discriminator) if discriminator.is_file() else None)

    def save(self, folder: Path) -> Path:
        """Writes the bundle atomically and returns `folder`."""
        with atomic_folder(Path(folder)) as partial:
            self.generator.save(partial / "generator.keras")
            if self.discriminator is not None:
                self.discriminator.save(partial / DISCRIMINATOR_FILE)
            (partial / "bundle.json").write_text(self.info.model_dump_json(indent=2) + "\n")
        return Path(folder)

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """Images uint8 (N, H, W, C) of latents (N, Z) and labels (N, columns)."""
        if self._uint8_generator is None:
            self._uint8_generator = with_uint8_output(self.generator)
        return self._run(self._uint8_generator, latents, labels, batch)

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """The discriminator's logits, float32 (N,), of images uint8 (N, H, W, C) with labels (N, columns).

        Raises:
            FaceForgeError: this is a release bundle, which has no discriminator.
        """
        if self.discriminator is None:
            raise FaceForgeError(NO_DISCRIMINATOR)
        return self._run(self.discriminator, from_uint8(images), labels, batch).reshape(-1)

    def _run(self, network: keras.Model, x: NDArray[Any], labels: NDArray[Any], batch: int) -> NDArray[Any]:
        """Outputs in input order; the last of several batches is filled up, so that all batches share one graph."""
        parts = []
        for at in range(0, len(x), batch):
            rows = np.arange(at, at + batch) % len(x) if len(x) > batch else np.arange(len(x))
            inputs = x[rows].astype(np.float32)
            arguments = [inputs, labels[rows].astype(np.int32)] if self.info.labels else inputs
            parts.append(np.asarray(network.predict_on_batch(arguments)))
        if not parts:
            return np.zeros((0, *network.output_shape[1:]), network.output.dtype)
        return np.concatenate(parts)[: len(x)]


def _read(path: Path) -> keras.Model:
    try:
        return read_network(path)
    except Exception as error:  # Keras raises many types for a damaged archive
        reason = first_line(error)
        raise FaceForgeError(f"{path} is unreadable: {reason}; make or download the bundle again") from error
