"""Checks that reject generated candidates: wrong label, near copy of a training image, low discriminator score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.inference.generator import Generator
from faceforge.synthesis.copies import nearest_distance, thumbnails
from faceforge.synthesis.latents import PILOT, latents_of
from faceforge.synthesis.plan import Cell

COPY_QUANTILE = 0.01  # this share of held-out real images is as close to a training image
PILOT_IMAGES = 20_000  # generated in all to estimate the score quantile of each cell; 32 to 256 per cell
BATCH = 256  # images per network call; always full batches, so that results do not depend on the count


class Check(ABC):
    """Rejects candidates for one reason.

    Attributes:
        name: the reason, as it appears in the manifest.
    """

    name: str

    @abstractmethod
    def rejected(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which images uint8 (N, H, W, C), requested with classes int32 (N, columns), to reject: bool (N,)."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """The check's parameters, for the manifest."""


class LabelCheck(Check):
    """Rejects images for which a classifier predicts another class than the requested one.

    Its predictions are corrected for the class frequencies of its training images; without this correction, it would
    hardly ever predict a rare class, and nearly all images of it would be rejected.

    Attributes:
        classifier: the one that predicts.
    """

    name = "labels"

    def __init__(self, classifier: DomainClassifier, labels: Mapping[str, Sequence[str]]) -> None:
        for column, classes in labels.items():
            if list(classifier.vocabularies.get(column, ())) != list(classes):
                raise FaceForgeError(f"the classifier does not know the model's label {column!r} with its classes")
        if not labels:
            raise FaceForgeError("the model is unconditional: there are no labels to check")
        self.classifier = classifier
        self._columns = [list(classifier.vocabularies).index(column) for column in labels]
        self._accuracy = {column: classifier.holdout_accuracy[column] for column in labels}

    def rejected(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """True where any label column disagrees."""
        return np.asarray((self.classifier.predict_balanced(images)[:, self._columns] != codes).any(axis=1))

    def facts(self) -> dict[str, Any]:
        """The classifier's accuracy on real holdout images, its recall of each class there, and its training facts."""
        return {
            "classifier_holdout_accuracy": self._accuracy,
            "classifier_holdout_recall": {
                column: {
                    name: {"recall": recall, "images": images}
                    for name, (recall, images) in self.classifier.holdout_recall.get(column, {}).items()
                }
                for column in self._accuracy
            },
            "classifier": dict(self.classifier.facts),
        }


class CopyCheck(Check):
    """Rejects images closer to a training image than 99 % of the held-out real images are."""

    name = "copies"

    def __init__(self, data: ImageSet) -> None:
        if data.info.counts["holdout"].total < 1 / COPY_QUANTILE:
            raise FaceForgeError(
                f"image set {data.root} has {data.info.counts['holdout'].total} holdout images; the copy check "
                f"needs at least {1 / COPY_QUANTILE:.0f}"
            )
        self._train, self._digest = thumbnails(data, "train"), data.info.digest
        self._limit = float(np.quantile(nearest_distance(thumbnails(data, "holdout"), self._train), COPY_QUANTILE))

    def rejected(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """True where the nearest training image, or its mirror image, is closer than the limit."""
        return np.asarray(nearest_distance(thumbnails(images), self._train) < self._limit)

    def facts(self) -> dict[str, Any]:
        """The limit and how it was set."""
        return {"limit": self._limit, "quantile_of_holdout": COPY_QUANTILE, "training_images": len(self._train)}


class RealismCheck(Check):
    """Rejects the share of candidates with the lowest discriminator scores, within each combination of labels."""

    name = "realism"

    def __init__(self, generator: Generator, plan: Sequence[Cell], share: float, seed: int, truncation: float) -> None:
        self._bundle, self._share = generator.bundle, share
        self._pilot = int(np.clip(PILOT_IMAGES // len(plan), 32, BATCH))
        self._limits: dict[tuple[int, ...], float] = {}
        for cell in plan:
            codes = np.tile(np.array(cell.codes, np.int32), (BATCH, 1))
            rows = np.arange(BATCH) % self._pilot
            latents = latents_of(generator, cell, PILOT, self._pilot, seed, truncation)[rows]
            images = generator.bundle.generate(latents, codes, BATCH)
            scores = generator.bundle.logits(images, codes, BATCH)[: self._pilot]
            self._limits[cell.codes] = float(np.quantile(scores, share))

    def rejected(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """True where the logit is below the quantile of a pilot sample with the same labels."""
        limits = np.array([self._limits[tuple(row)] for row in codes.tolist()])
        return np.asarray(self._bundle.logits(images, codes, BATCH) < limits)

    def facts(self) -> dict[str, Any]:
        """The share, and the size of the pilot samples."""
        return {"share": self._share, "pilot_images_per_combination": self._pilot}
