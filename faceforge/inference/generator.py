"""Loading and sampling a trained model, in two lines.

>>> generator = Generator.load("toyfaces")      # or models:/toyfaces/3, the folder of a bundle, an ONNX file
>>> generator.generate(num_images=16, label="smiling", seed=1).save("faces.png")   # in a notebook: .show()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.inference.samples import Samples
from faceforge.models.label_requests import Label, LabelRequest, label_codes, label_request
from faceforge.models.sampling import draw_latents, label_combinations, path_between

if TYPE_CHECKING:
    from faceforge.inference.calibration import Calibration

__all__ = ["Generator", "Label", "Samples"]

DEFAULT_IMAGES = 16
STREAM_BATCH = 1024
_MAX_COMBINATIONS = 64  # that `discriminate` tries for images with unspecified labels


class Model(Protocol):
    """What a generator samples from: a `faceforge.models.bundle.Bundle` or a `faceforge.inference.onnx.OnnxModel`."""

    @property
    def info(self) -> Any:
        """`info.labels` (column -> classes) and `info.spec` (`latent_size`, `image_size`, `channels`)."""

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """Images uint8 (N, H, W, C) of latents (N, Z) and labels (N, columns)."""

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """The discriminator's logits, float32 (N,)."""


class Generator:
    """A loaded model.

    Attributes:
        bundle: the model.
        labels: label columns -> classes; empty = unconditional.
        calibration: turns logits into probabilities; None if the model came without an evaluation report.
    """

    def __init__(self, bundle: Model, calibration: Calibration | None = None) -> None:
        self.bundle, self.calibration = bundle, calibration
        self.labels: dict[str, list[str]] = bundle.info.labels

    @staticmethod
    def load(source: str | Path, tracking_uri: str = "") -> Generator:
        """Loads a bundle folder, an ONNX file, or a model from MLflow.

        Args:
            source: folder, `FILE.onnx`, `NAME` (the champion of a registered model), `models:/NAME@ALIAS`,
                `models:/NAME/VERSION`, `models:/MODEL_ID`, `runs:/RUN_ID`, or `runs:/RUN_ID/ARTIFACT`.
            tracking_uri: the registry's address; empty: MLflow's current one, else MLFLOW_TRACKING_URI, else
                `sqlite:///mlflow.db`.

        The calibration is read from the evaluation's `report.json`, in the bundle's folder or beside it.

        Raises:
            FaceForgeError: no such model, or an unreadable one.
        """
        if str(source).endswith(".onnx"):
            from faceforge.inference.onnx import OnnxModel

            return Generator(OnnxModel.load(source))
        from faceforge.tracking.model_source import download_model, explained, model_address

        address = model_address(str(source))
        if not address.startswith(("models:", "runs:")):
            if not Path(source).exists():
                raise FaceForgeError(f"{source} is not a model bundle: there is no such folder")
            return _from_bundle(Path(source))
        from tempfile import TemporaryDirectory

        from faceforge.tracking.connection import connect, current_uri

        with TemporaryDirectory() as folder:
            with explained(str(source)):
                connect(tracking_uri or current_uri(), create=False)
                bundle = download_model(address, Path(folder))
            return _from_bundle(bundle)

    def generate(
        self,
        num_images: int | None = None,
        *,
        label: Label | None = None,
        labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None = None,
        attributes: Mapping[str, Label] | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Samples:
        """Draws images. Image i depends on the seed, `start + i` and its labels, not on the number of images.

        Args:
            num_images: number of images; default: as many as `labels`, else 16.
            label: the class of all images, for a model with one label column. Classes are text: 5 means "5", and
                1, 0, True, False mean classes of these names.
            labels: one class per image, for a model with one label column; or column -> one class per image.
            attributes: column -> class, for all images.
            seed: random seed.
            truncation: 0 to 1, scales the latents; below 1, faces are more typical and less varied.
            start: number of the first image; continues a series.

        Unspecified columns cycle through all combinations of their classes.

        Raises:
            FaceForgeError: an unknown column or class, or a number out of range.
        """
        request = label_request(self.labels, label, labels, attributes)
        count = _image_count(num_images, request, DEFAULT_IMAGES)
        _check_numbers(count, seed, truncation, start)
        latents = draw_latents(seed, count, self._latent_size, start) * np.float32(truncation)
        return self._draw(latents, label_codes(self.labels, request, count, start))

    def stream(
        self,
        num_images: int,
        *,
        batch: int = STREAM_BATCH,
        label: Label | None = None,
        attributes: Mapping[str, Label] | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Iterator[Samples]:
        """Yields the images of `generate(num_images, ...)`, at most `batch` at a time.

        Raises:
            FaceForgeError: as `generate`.
        """
        if batch < 1:
            raise FaceForgeError(f"batch={batch}: must be at least 1")
        _check_numbers(num_images, seed, truncation, start)
        for done in range(0, num_images, batch):
            yield self.generate(
                min(batch, num_images - done),
                label=label,
                attributes=attributes,
                seed=seed,
                truncation=truncation,
                start=start + done,
            )

    def edit(
        self, samples: Samples, *, label: Label | None = None, attributes: Mapping[str, Label] | None = None
    ) -> Samples:
        """Draws the same latents with other labels; labels that are not named stay as they are.

        Raises:
            FaceForgeError: an unknown column or class, or samples from another model.
        """
        self._check_samples(samples)
        request: LabelRequest = {**samples.labels, **label_request(self.labels, label, None, attributes)}
        return self._draw(samples.latents, label_codes(self.labels, request, len(samples)))

    def interpolate(
        self,
        between: Samples | Sequence[int],
        steps: int = 8,
        *,
        label: Label | None = None,
        attributes: Mapping[str, Label] | None = None,
        truncation: float = 1.0,
    ) -> Samples:
        """Draws images between consecutive samples, ends included.

        Args:
            between: two or more samples, or two or more seeds, each standing for its first image.
            steps: images per pair, both ends included; consecutive pairs share an end.
            label: the class of all images; default: that of the nearer sample, or for seeds the first combination
                of classes.
            attributes: the same, by column.
            truncation: for the images of seeds.

        Directions are interpolated spherically (White, 2016, "Sampling generative networks") and lengths linearly, so
        that latents in between are as likely as the ends.

        Raises:
            FaceForgeError: fewer than two ends or steps, an unknown class, or samples from another model.
        """
        request = label_request(self.labels, label, None, attributes)
        if isinstance(between, Samples):
            self._check_samples(between)
            latents, codes = between.latents, label_codes(self.labels, {**between.labels, **request}, len(between))
        else:
            for seed in between:
                _check_numbers(1, seed, truncation, 0)
            drawn = [draw_latents(seed, 1, self._latent_size) * np.float32(truncation) for seed in between]
            latents = np.concatenate([np.zeros((0, self._latent_size), np.float32), *drawn])
            codes = np.repeat(label_codes(self.labels, request, 1), len(latents), axis=0)
        if len(latents) < 2 or steps < 2:
            raise FaceForgeError(f"{len(latents)} ends and {steps} steps: interpolation needs at least two of each")
        path, nearest = path_between(latents, steps)
        return self._draw(path, codes[nearest])

    def discriminate(
        self,
        images: NDArray[np.uint8],
        *,
        label: Label | None = None,
        labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None = None,
        attributes: Mapping[str, Label] | None = None,
    ) -> NDArray[np.float64]:
        """Calibrated P(real) of each image by the model's own discriminator.

        Of images rated 0.8, 80 % are real if half of all rated images are real and half are samples of this model.

        Args:
            images: uint8 (N, H, W, C), of the model's size.
            label, labels, attributes: what the images show, as in `generate`. Where labels are unspecified, an image
                gets the highest rating of all of them.

        Returns:
            float64 (N,) in (0, 1).

        Raises:
            FaceForgeError: images of another shape or type, unknown labels, or a model without discriminator or
                calibration.
        """
        if self.calibration is None:
            self._require_discriminator()
            raise FaceForgeError(
                "this model has no calibration: load it from the registry or with the report.json of its evaluation "
                "in its folder, or call generator.calibrate(real_images)"
            )
        images = self._checked_images(images)
        codes = self._possible_codes(label_request(self.labels, label, labels, attributes), len(images))
        rated = [self.calibration.probability(self.bundle.logits(images, each), each) for each in codes]
        return np.max(rated, axis=0)

    def calibrate(
        self,
        images: NDArray[np.uint8],
        *,
        label: Label | None = None,
        labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None = None,
        attributes: Mapping[str, Label] | None = None,
        seed: int = 0,
    ) -> Generator:
        """Returns this generator with a calibration fitted to real images and as many samples with the same labels.

        Args:
            images: real images that the model was not trained on, uint8 (N, H, W, C); some hundreds.
            label, labels, attributes: what they show; all label columns are required.
            seed: random seed of the samples.

        Raises:
            FaceForgeError: images of another shape or type, or unknown or missing labels.
        """
        from faceforge.inference.calibration import calibrate

        self._require_discriminator()
        images = self._checked_images(images)
        request = label_request(self.labels, label, labels, attributes)
        if left := [column for column in self.labels if column not in request]:
            raise FaceForgeError(f"calibration needs the label {left[0]!r} of every image; give labels={{...}}")
        if not len(images):
            raise FaceForgeError("calibration needs real images; some hundreds make it reliable")
        codes = label_codes(self.labels, request, len(images))
        samples = self.bundle.generate(draw_latents(seed, len(images), self._latent_size), codes)
        real, fake = ((self.bundle.logits(each, codes), codes) for each in (images, samples))
        return Generator(self.bundle, calibrate(real, fake))

    @property
    def _latent_size(self) -> int:
        return int(self.bundle.info.spec.latent_size)

    def _draw(self, latents: NDArray[np.float32], codes: NDArray[np.int32]) -> Samples:
        names = {
            column: [classes[code] for code in codes[:, place]]
            for place, (column, classes) in enumerate(self.labels.items())
        }
        return Samples(self.bundle.generate(latents, codes), names, latents)

    def _possible_codes(self, request: LabelRequest, count: int) -> list[NDArray[np.int32]]:
        """All ways to fill the unspecified columns, each as codes int32 (count, columns)."""
        left = {column: classes for column, classes in self.labels.items() if column not in request}
        ways = int(np.prod([len(classes) for classes in left.values()], dtype=np.float64))
        if ways > _MAX_COMBINATIONS:
            raise FaceForgeError(
                f"{ways:,} combinations of the labels {', '.join(left)} are too many to try; give the images' labels"
            )
        chosen = [
            {column: [left[column][code]] * count for column, code in zip(left, row, strict=True)}
            for row in label_combinations(left)
        ]
        return [label_codes(self.labels, {**request, **way}, count) for way in chosen]

    def _checked_images(self, images: Any) -> NDArray[np.uint8]:
        spec, array = self.bundle.info.spec, np.asarray(images)
        shape = (spec.image_size, spec.image_size, spec.channels)
        if array.dtype != np.uint8 or array.shape[1:] != shape:
            raise FaceForgeError(
                f"images are {array.dtype} {array.shape}; the model rates uint8 (N, {', '.join(map(str, shape))})"
            )
        return array

    def _require_discriminator(self) -> None:
        from faceforge.models.bundle import NO_DISCRIMINATOR

        if getattr(self.bundle, "discriminator", None) is None:
            raise FaceForgeError(NO_DISCRIMINATOR)

    def _check_samples(self, samples: Samples) -> None:
        if samples.latents.shape != (len(samples), self._latent_size) or set(samples.labels) != set(self.labels):
            raise FaceForgeError("these samples are from another model; pass what this model's generate() returned")


def _image_count(num_images: int | None, request: LabelRequest, default: int) -> int:
    """The number of images that `num_images` and the label lists agree on."""
    lengths = {len(classes) for classes in request.values() if isinstance(classes, list)}
    if num_images is not None:
        lengths.add(num_images)
    if len(lengths) > 1:
        raise FaceForgeError(f"the numbers of images and labels differ: {sorted(lengths)}")
    return lengths.pop() if lengths else default


def _check_numbers(count: int, seed: int, truncation: float, start: int) -> None:
    if count < 0 or start < 0 or not 0 <= seed < 2**63:
        raise FaceForgeError(f"num_images={count}, start={start}, seed={seed}: none of them may be negative")
    if not 0 <= truncation <= 1:
        raise FaceForgeError(f"truncation={truncation}: must be between 0 and 1")


def _from_bundle(folder: Path) -> Generator:
    """Loads a bundle, with the calibration in the evaluation report in its folder or beside it, if it can be used."""
    from faceforge.inference.calibration import read_calibration
    from faceforge.models.bundle import Bundle

    bundle = Bundle.load(folder)
    if bundle.discriminator is None:
        return Generator(bundle)
    reports = (folder / "report.json", folder.absolute().parent / "report.json")
    return Generator(bundle, next(filter(None, map(read_calibration, reports)), None))
