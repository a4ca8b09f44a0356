"""How far images are from those that a domain classifier learnt from, in its own features.

The distance is the Frechet distance of normal distributions fitted to the features, less what chance alone gives for so
many images, in units of the training images' total variance: 0 = the same, 1 = as far apart as those images are from
each other. Unlike thumbnails it sees who is shown. Images that the classifier has not seen are a little off, even if
they are of the same kind: its holdout tells by how much.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faceforge.data.drift import Drift, by_chance
from faceforge.data.samples import spread
from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.frechet import frechet_distance
from faceforge.evaluation.metrics.moments import Gaussian, Moments

if TYPE_CHECKING:
    from faceforge.data.imageset import ImageSet
    from faceforge.evaluation.domain import DomainClassifier

LIMIT = 0.01  # above the holdout's distance (UTKFace: unseen images of the kind 0.002, one of five ages left out 0.02)
MEASURED_AT_MOST = 10_000  # images; more cost time and change the third digit


@dataclass(frozen=True)
class Learnt:
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
    def of(cls, train: NDArray[np.float32], holdout: NDArray[np.float32], digest: str) -> Learnt:
        """From features (N, D) and (M, D)."""
        learnt = cls(Moments.of(train).gaussian, 0.0, digest)
        return cls(learnt.features, max(learnt.distance(holdout)[0], 0.0), digest)

    def save(self, path: Path) -> None:
        """Writes an `.npz`: `mu`, `sigma`, `count`, `floor`, `digest`."""
        self.features.save(path, floor=np.float64(self.floor), digest=np.array(self.digest))

    @classmethod
    def load(cls, path: Path, digest: str) -> Learnt | None:
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


def compare(now: ImageSet, before: DomainClassifier) -> Drift:
    """The distance of the training split of `now` from what `before` has learnt from; see the module.

    It is worth a warning above `LIMIT` more than the holdout's distance, with few images above twice what chance gives.

    Raises:
        FaceForgeError: the two cannot be compared.
    """
    info, learnt = now.info, before.learnt
    if learnt is None:
        raise FaceForgeError("the champion was evaluated by a version that kept no moments of its training images")
    if (size := (info.image_size, info.image_size, info.channels)) != before.shape:
        shapes = [" x ".join(map(str, shape)) for shape in (before.shape, size)]
        raise FaceForgeError(f"the champion's classifier takes images of {shapes[0]}, these have {shapes[1]}")
    rows = spread(info.counts["train"].total, MEASURED_AT_MOST)
    value, chance = learnt.distance(before.features(now.load("train", (), rows)[0]))
    if not np.isfinite(value + learnt.floor):
        raise FaceForgeError("the features are not finite")
    value, limit = max(value, 0.0), learnt.floor + max(LIMIT, 2 * chance)
    told = f"what the images show (drift/domain_frechet {value:.3f}, limit {limit:.3f})"
    return Drift({"drift/domain_frechet": value}, (told,) if value > limit else ())
