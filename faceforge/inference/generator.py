"""Using a trained model, in two lines.

>>> generator = Generator.load("models:/faceforge@champion")      # or a bundle's folder, or an ONNX file
>>> samples = generator.generate(num_images=16, label="smiling", seed=1)
>>> samples.images.shape, samples.labels["expression"][0]
((16, 32, 32, 3), 'smiling')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.models.label_requests import Label, Wish, choose_columns, label_codes
from faceforge.models.sampling import draw_latents, label_combinations, path_between

if TYPE_CHECKING:
    from faceforge.inference.calibration import Calibration

__all__ = ["Generator", "Label", "Samples"]

DEFAULT_IMAGES = 16
STREAM_BATCH = 1024
_COMBINATIONS_TRIED = 64  # by `discriminate`, for each image whose labels are left open


class Model(Protocol):
    """What a generator draws with: a `faceforge.models.bundle.Bundle` or a `faceforge.inference.onnx.OnnxModel`."""

    @property
    def info(self) -> Any:
        """`info.labels` (column -> classes) and `info.spec` (`latent_size`, `image_size`, `channels`)."""

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """Images uint8 (N, H, W, C) of latents (N, Z) and labels (N, columns)."""

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """The discriminator's logits, float32 (N,)."""


@dataclass(frozen=True)
class Samples:
    """Generated images, what they are meant to show, and where they came from.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: label column -> N classes; empty for an unconditional model.
        latents: float32 (N, Z), truncation included; what `edit` and `interpolate` start from.
    """

    images: NDArray[np.uint8]
    labels: dict[str, list[str]]
    latents: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Samples:
        """Some of the samples, as samples: `samples[3]`, `samples[:4]`, `samples[[3, 7]]`."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        labels = {column: [classes[row] for row in chosen] for column, classes in self.labels.items()}
        return Samples(self.images[chosen], labels, self.latents[chosen])


class Generator:
    """A loaded model.

    Attributes:
        bundle: the model.
        labels: its label columns and their classes; empty = unconditional.
        calibration: turns logits into probabilities; None where the model came without an evaluation report.
    """

    def __init__(self, bundle: Model, calibration: Calibration | None = None) -> None:
        self.bundle, self.calibration = bundle, calibration
        self.labels: dict[str, list[str]] = bundle.info.labels

    @staticmethod
    def load(source: str | Path, tracking_uri: str = "") -> Generator:
        """The model of a bundle folder, of an ONNX file, or of the registry.

        Args:
            source: folder, `FILE.onnx`, or `models:/NAME@ALIAS`, `models:/NAME/VERSION`.
            tracking_uri: where the registry is; empty: what MLflow has been told, else MLFLOW_TRACKING_URI, else
                `sqlite:///mlflow.db`.

        A `report.json` of the model's evaluation, in the folder or beside it, gives the calibration.

        Raises:
            FaceForgeError: no such model, or an unreadable one.
        """
        if str(source).endswith(".onnx"):
            from faceforge.inference.onnx import OnnxModel

            return Generator(OnnxModel.load(source))
        from faceforge.models.bundle import Bundle

        if not str(source).startswith("models:"):
            return Generator(Bundle.load(Path(source)), _calibration(Path(source)))
        from tempfile import TemporaryDirectory

        from faceforge.tracking.connection import connect, current_uri
        from faceforge.tracking.versions import download_version

        connect(tracking_uri or current_uri(), create=False)
        with TemporaryDirectory() as folder:
            bundle = download_version(str(source), Path(folder)) / "bundle"
            return Generator(Bundle.load(bundle), _calibration(bundle))

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
        """Draws images; the i-th depends on the seed, on `start + i` and on its labels, not on how many are drawn.

        Args:
            num_images: how many; unset: as many as `labels`, else 16.
            label: the class of all images, for a model of one label column. Classes are text; 5 is taken for "5",
                and 1, 0, True, False for classes of these names.
            labels: one class per image, for a model of one label column; or column -> one class per image.
            attributes: column -> class, for all images.
            seed: of the latents.
            truncation: 0..1, scales the latents: below 1 typical faces, less variety.
            start: continue a series: skip so many images.

        Columns that are left open take all combinations of their classes in turn.

        Raises:
            FaceForgeError: an unknown column or class, or a number out of range.
        """
        wish = choose_columns(self.labels, label, labels, attributes)
        count = _agreed(num_images, wish, DEFAULT_IMAGES)
        _check_numbers(count, seed, truncation, start)
        latents = draw_latents(seed, count, self._latent_size, start) * np.float32(truncation)
        return self._draw(latents, label_codes(self.labels, wish, count, start))

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
        """The images of `generate(num_images, ...)`, at most `batch` in memory at a time.

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
        """The same latents with other labels: what each face looks like with `attributes`; the rest stays.

        Raises:
            FaceForgeError: an unknown column or class, or samples of another model.
        """
        self._check_samples(samples)
        wish: Wish = {**samples.labels, **choose_columns(self.labels, label, None, attributes)}
        return self._draw(samples.latents, label_codes(self.labels, wish, len(samples)))

    def interpolate(
        self,
        between: Samples | Sequence[int],
        steps: int = 8,
        *,
        label: Label | None = None,
        attributes: Mapping[str, Label] | None = None,
        truncation: float = 1.0,
    ) -> Samples:
        """Images on the way from each sample to the next, ends included.

        Args:
            between: two or more samples, or two or more seeds, whose first images are meant.
            steps: images per leg, ends included; the end of a leg is the start of the next.
            label: the class of all images; unset: between samples that of the nearer end, between seeds the first
                combination of classes.
            attributes: the same, by column.
            truncation: of the images that seeds stand for.

        Latents turn along the arc between two ends (White, 2016, "Sampling generative networks") and change their
        length evenly, so that those in between are as likely as the ends.

        Raises:
            FaceForgeError: fewer than two ends or steps, an unknown class, or samples of another model.
        """
        wish = choose_columns(self.labels, label, None, attributes)
        if isinstance(between, Samples):
            self._check_samples(between)
            latents, codes = between.latents, label_codes(self.labels, {**between.labels, **wish}, len(between))
        else:
            for seed in between:
                _check_numbers(1, seed, truncation, 0)
            drawn = [draw_latents(seed, 1, self._latent_size) * np.float32(truncation) for seed in between]
            latents = np.concatenate([np.zeros((0, self._latent_size), np.float32), *drawn])
            codes = np.repeat(label_codes(self.labels, wish, 1), len(latents), axis=0)
        if len(latents) < 2 or steps < 2:
            raise FaceForgeError(f"{len(latents)} ends and {steps} steps: interpolation takes at least two of both")
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
        """The model's own guess at P(real) of each image, calibrated: of images rated 0.8, 80 % are real where as many
        real images as samples are shown.

        Args:
            images: uint8 (N, H, W, C), of the model's size.
            label, labels, attributes: what the images show, as in `generate`. An image whose labels are left open is
                rated under those of them that suit it best.

        Returns:
            float64 (N,) in (0, 1).

        Raises:
            FaceForgeError: images of another shape or type, unknown labels, or a model without calibration.
        """
        if self.calibration is None:
            raise FaceForgeError(
                "this model has no calibration: load it from the registry or with the report.json of its evaluation "
                "in its folder, or call generator.calibrate(real_images)"
            )
        images = self._checked_images(images)
        codes = self._possible_codes(choose_columns(self.labels, label, labels, attributes), len(images))
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
        """This generator with a calibration fitted to real images and as many samples of the same labels.

        Args:
            images: real ones that the model was not trained on, uint8 (N, H, W, C); some hundreds.
            label, labels, attributes: what they show; none may be left open.
            seed: of the samples.

        Raises:
            FaceForgeError: images of another shape or type, or labels unknown or left open.
        """
        from faceforge.inference.calibration import calibrate

        images = self._checked_images(images)
        wish = choose_columns(self.labels, label, labels, attributes)
        if left := [column for column in self.labels if column not in wish]:
            raise FaceForgeError(f"calibration needs the label {left[0]!r} of every image; give labels={{...}}")
        if not len(images):
            raise FaceForgeError("calibration needs real images; some hundreds make it reliable")
        codes = label_codes(self.labels, wish, len(images))
        made = self.bundle.generate(draw_latents(seed, len(images), self._latent_size), codes)
        real, fake = ((self.bundle.logits(shown, codes), codes) for shown in (images, made))
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

    def _possible_codes(self, wish: Wish, count: int) -> list[NDArray[np.int32]]:
        """All ways to fill the open columns, each int32 (count, columns)."""
        left = {column: classes for column, classes in self.labels.items() if column not in wish}
        ways = int(np.prod([len(classes) for classes in left.values()], dtype=np.float64))
        if ways > _COMBINATIONS_TRIED:
            raise FaceForgeError(
                f"{ways:,} combinations of the labels {', '.join(left)} are too many to try; say what the images show"
            )
        chosen = [
            {column: [left[column][code]] * count for column, code in zip(left, row, strict=True)}
            for row in label_combinations(left)
        ]
        return [label_codes(self.labels, {**wish, **way}, count) for way in chosen]

    def _checked_images(self, images: Any) -> NDArray[np.uint8]:
        spec, found = self.bundle.info.spec, np.asarray(images)
        wanted = (spec.image_size, spec.image_size, spec.channels)
        if found.dtype != np.uint8 or found.shape[1:] != wanted:
            raise FaceForgeError(
                f"images are {found.dtype} {found.shape}; the model rates uint8 (N, {', '.join(map(str, wanted))})"
            )
        return found

    def _check_samples(self, samples: Samples) -> None:
        if samples.latents.shape != (len(samples), self._latent_size) or set(samples.labels) != set(self.labels):
            raise FaceForgeError("these samples are not of this model; give what its generate() returned")


def _agreed(num_images: int | None, wish: Wish, default: int) -> int:
    """How many images are meant."""
    lengths = {len(classes) for classes in wish.values() if isinstance(classes, list)}
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


def _calibration(bundle: Path) -> Calibration | None:
    """What the evaluation report in a bundle's folder or beside it says of the discriminator, if there is one."""
    from faceforge.inference.calibration import read_calibration

    return read_calibration(bundle / "report.json") or read_calibration(bundle.absolute().parent / "report.json")
