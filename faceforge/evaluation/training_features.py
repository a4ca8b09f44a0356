"""Mean and covariance of a classifier's features on its training images, and the distance of other images to them."""

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
    """What a classifier's training images look like to it.

    Attributes:
        features: mean and covariance of their features.
        floor: the distance of its holdout from them; at least 0.
        digest: of the image set.
    """

    features: Gaussian
    floor: float
    digest: str

    @classmethod
    def of(cls, train: NDArray[np.float32], holdout: NDArray[np.float32], digest: str) -> TrainingFeatures:
        """From features (N, D) and (M, D)."""
        learnt = cls(Moments.of(train).gaussian, 0.0, digest)
        return cls(learnt.features, max(learnt.distance(holdout)[0], 0.0), digest)

    def save(self, path: Path) -> None:
        """Writes an `.npz`: `mu`, `sigma`, `count`, `floor`, `digest`."""
        self.features.save(path, floor=np.float64(self.floor), digest=np.array(self.digest))

    @classmethod
    def load(cls, path: Path, digest: str) -> TrainingFeatures | None:
        """What `save` wrote about the image set with this digest; None if that is not there or is damaged."""
        try:
            features = Gaussian.load(path)
            with np.load(path, allow_pickle=False) as arrays:
                found = cls(features, float(arrays["floor"]), str(arrays["digest"]))
        except (FaceForgeError, OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
            return None
        return found if found.digest == digest else None

    def distance(self, features: NDArray[np.float32]) -> tuple[float, float]:
        """The distance of features (N, D), N at least 2, and what chance gave, which is taken off; NaN if one is."""
        seen, own = Moments.of(features).gaussian, self.features
        apart = frechet_distance(seen.mean, seen.covariance, own.mean, own.covariance)
        if not np.isfinite(apart):
            return apart, apart
        total = max(float(np.trace(own.covariance)), 1e-12)
        chance = by_chance(np.linalg.eigvalsh(own.covariance).clip(0), 1 / seen.count + 1 / own.count) / total
        return apart / total - chance, chance
