"""Which candidates to refuse, and why."""

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

COPY_QUANTILE = 0.01  # share of images never trained on that lie as close to a training image
PILOT_IMAGES = 20_000  # drawn in all to learn what a cell's worst look like, 32 to 256 per cell
BATCH = 256  # images through a network at a time; always full, so that results do not depend on how many are asked for


class Check(ABC):
    """Refuses candidates for one reason.

    Attributes:
        name: of the reason, in the manifest.
    """

    name: str

    @abstractmethod
    def refused(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the images uint8 (N, H, W, C), asked for with class numbers int32 (N, columns), to refuse: (N,)."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the check goes by, for the manifest."""


class LabelCheck(Check):
    """Refuses images in which a classifier sees another class than was asked for."""

    name = "labels"

    def __init__(self, classifier: DomainClassifier, labels: Mapping[str, Sequence[str]]) -> None:
        for column, classes in labels.items():
            if list(classifier.vocabularies.get(column, ())) != list(classes):
                raise FaceForgeError(f"the classifier does not know the model's label {column!r} with its classes")
        if not labels:
            raise FaceForgeError("the model is unconditional: there are no labels to check")
        self._classifier = classifier
        self._columns = [list(classifier.vocabularies).index(column) for column in labels]
        self._accuracy = {column: classifier.holdout_accuracy[column] for column in labels}

    def refused(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Where any column disagrees."""
        return np.asarray((self._classifier.predict(images)[:, self._columns] != codes).any(axis=1))

    def facts(self) -> dict[str, Any]:
        """The classifier's accuracy on real images, and what it was trained on."""
        return {"classifier_holdout_accuracy": self._accuracy, "classifier": dict(self._classifier.facts)}


class CopyCheck(Check):
    """Refuses images that lie closer to a training image than nearly all real images that were never trained on."""

    name = "copies"

    def __init__(self, data: ImageSet) -> None:
        if data.info.counts["holdout"].total < 1 / COPY_QUANTILE:
            raise FaceForgeError(
                f"image set {data.root} has {data.info.counts['holdout'].total} holdout images; to tell copies from "
                f"likeness takes at least {1 / COPY_QUANTILE:.0f}"
            )
        self._train, self._digest = thumbnails(data, "train"), data.info.digest
        self._limit = float(np.quantile(nearest_distance(thumbnails(data, "holdout"), self._train), COPY_QUANTILE))

    def refused(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Where the nearest training image, or its mirror image, is too near."""
        return np.asarray(nearest_distance(thumbnails(images), self._train) < self._limit)

    def facts(self) -> dict[str, Any]:
        """The limit, and what it was learnt from."""
        return {"limit": self._limit, "quantile_of_holdout": COPY_QUANTILE, "training_images": len(self._train)}


class RealismCheck(Check):
    """Refuses the share of candidates that the discriminator finds least real, within each combination of labels."""

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

    def refused(self, images: NDArray[np.uint8], codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Where the logit is below the share's quantile of a pilot draw with the same labels."""
        limits = np.array([self._limits[tuple(row)] for row in codes.tolist()])
        return np.asarray(self._bundle.logits(images, codes, BATCH) < limits)

    def facts(self) -> dict[str, Any]:
        """The share, and how many candidates each limit was learnt from."""
        return {"share": self._share, "pilot_images_per_combination": self._pilot}
