"""Statistics of a classifier's features on its training images, and the distance of other images from them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.data.drift import by_chance
from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.frechet import frechet_distance
from faceforge.evaluation.metrics.moments import Gaussian, Moments


@dataclass(frozen=True)
class TrainingFeatures:
    """Mean and covariance of the features of the training images.

    Attributes:
        features: mean and covariance.
        floor: the distance of the holdout from them; at least 0.
        digest: digest of the image set.
    """

    features: Gaussian
    floor: float
    digest: str

    @classmethod
    def of(cls, train: NDArray[np.float32], holdout: NDArray[np.float32], digest: str) -> TrainingFeatures:
        """Computes the statistics from features (N, D) of training images and (M, D) of holdout images."""
        without_floor = cls(Moments.of(train).gaussian, 0.0, digest)
        return cls(without_floor.features, max(without_floor.distance(holdout)[0], 0.0), digest)

    def save(self, path: Path) -> None:
        """Writes an `.npz`: `mu`, `sigma`, `count`, `floor`, `digest`."""
        self.features.save(path, floor=np.float64(self.floor), digest=np.array(self.digest))

    @classmethod
    def load(cls, path: Path, digest: str) -> TrainingFeatures | None:
        """Reads what `save` wrote; None if the file is absent, damaged or about an image set with another digest."""
        try:
            features = Gaussian.load(path)
            with np.load(path, allow_pickle=False) as arrays:
                statistics = cls(features, float(arrays["floor"]), str(arrays["digest"]))
        except (FaceForgeError, OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
            return None
        return statistics if statistics.digest == digest else None

    def distance(self, features: NDArray[np.float32]) -> tuple[float, float]:
        """The relative distance of features (N, D), N at least 2, and the expected distance that was subtracted.

        Both are NaN when a feature is not finite. See `faceforge.evaluation.domain_drift`.
        """
        new, own = Moments.of(features).gaussian, self.features
        distance = frechet_distance(new.mean, new.covariance, own.mean, own.covariance)
        if not np.isfinite(distance):
            return distance, distance
        total = max(float(np.trace(own.covariance)), 1e-12)
        expected = by_chance(np.linalg.eigvalsh(own.covariance).clip(0), 1 / new.count + 1 / own.count) / total
        return distance / total - expected, expected
