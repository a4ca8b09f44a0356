"""Copies of training images among samples, found by comparison with unseen real images.

A model that learned the distribution is as near to unseen images as to its training images; a model that memorised is
nearer to the latter. Every sample therefore gets the ratio of its distance to the nearest training image and its
distance to the nearest holdout image, and so does every holdout image, as if it were a sample (Meehan et al. (2020), "A
non-parametric test to detect data-copying in generative models").

- A sample counts as a copy when its ratio is below that of 99 % of the unseen images. The number of such samples among
  unseen images follows a beta-binomial distribution, because the threshold is an order statistic of unseen images.
- A near-exact copy is less than half as far from a training image as any two real images are from each other. In the
  other spaces its ratio is less than 0.4 of the least ratio of an unseen image: probabilities of small ratios fall with
  a power of the ratio that is the dimension of the images, so that honest samples hardly ever get there.

Four spaces are used: `pixels` after alignment (see `alignment`), `features`, fixed features of pixels, and for copies
of a part and blends of two images `parts` and `blends` (see `composites`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.alignment import AlignedIndex
from faceforge.evaluation.diagnostics.composites import BlendIndex, Match, PartIndex
from faceforge.evaluation.diagnostics.pixel_features import pixel_features
from faceforge.evaluation.metrics.neighbours import nearest

EXPECTED = 0.01  # share of unseen images below the threshold
FALSE_ALARM = 0.001  # probability that an honest model exceeds the limit, in one space
UNSEEN_AT_MOST = 600  # holdout images in the place of samples
WHOLE_IMAGES = ("pixels", "features")  # the spaces in which whole images are compared
_NEAR_EXACT, _FAR_BELOW = 0.5, 0.4  # of the least distance between real images, of the least ratio of unseen images

Images = NDArray[np.uint8]


class Distances(NamedTuple):
    """Distances of N images to their nearest training image and nearest holdout image (in `blends`: blend of two)."""

    to_train: NDArray[np.float64]
    to_holdout: NDArray[np.float64]
    train_row: NDArray[np.intp]
    holdout_row: NDArray[np.intp]

    def select(self, rows: NDArray[np.integer]) -> Distances:
        """The distances of some of the images."""
        return Distances(self.to_train[rows], self.to_holdout[rows], self.train_row[rows], self.holdout_row[rows])

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Distance to the nearest training image over that to the nearest holdout image; 1 where both are 0."""
        undefined = np.where(self.to_train > 0, np.inf, 1.0)
        return np.divide(self.to_train, self.to_holdout, out=undefined, where=self.to_holdout > 0)


@dataclass(frozen=True)
class Copies:
    """Copies among N samples in one space.

    Attributes:
        count: samples that count as copies.
        limit: largest count that chance gives with unseen images in place of samples, at a false alarm rate.
        samples: N.
    """

    count: int
    limit: int
    samples: int

    @property
    def share(self) -> float:
        """Share of the samples that count as copies."""
        return self.count / self.samples


class CopyDetector:
    """Training and holdout images, prepared for searches for copies.

    Attributes:
        unseen: distances of the holdout images, as if they were samples, per space.
    """

    def __init__(self, train: Images, holdout: Images) -> None:
        """Prepares all training images (T, S, S, C) and the holdout images (H, S, S, C), T and H at least 3."""
        self._train, self._holdout = AlignedIndex(train), AlignedIndex(holdout)
        train_features = pixel_features(train)
        self._centre, spread = train_features.mean(axis=0), train_features.std(axis=0)
        # A lower limit, so that noise in nearly constant features does not dominate.
        self._spread = np.maximum(spread, 1e-2 * spread.max())
        self._train_features, self._holdout_features = self._standard(train_features), self._features(holdout)
        self._composites: dict[str, tuple[PartIndex, PartIndex] | tuple[BlendIndex, BlendIndex]] = {
            "parts": (PartIndex(train), PartIndex(holdout)),
            "blends": (BlendIndex(train), BlendIndex(holdout)),
        }
        self.unseen = self._unseen(holdout[:UNSEEN_AT_MOST])

    def distances(self, images: Images) -> dict[str, Distances]:
        """Distances of images (N, S, S, C) per space."""
        train, holdout = self._train.nearest(images), self._holdout.nearest(images)
        features = self._features(images)
        near_train, near_holdout = (
            nearest(features, part)[0] for part in (self._train_features, self._holdout_features)
        )
        return {
            "pixels": Distances(train.distance, holdout.distance, train.row, holdout.row),
            "features": Distances(near_train.distance, near_holdout.distance, near_train.row, near_holdout.row),
            **self._of_composites(images, exclude_self=False),
        }

    def copies(self, distances: Distances, space: str, false_alarm: float = FALSE_ALARM) -> Copies:
        """Counts copies among samples, whose distances are given in a space."""
        return count_copies(distances, self.unseen[space], false_alarm)

    def near_exact(self, distances: Mapping[str, Distances]) -> NDArray[np.bool_]:
        """Which samples are near-exact copies, from their distances in all spaces."""
        return np.any([_near_exact(found, self.unseen[space], space) for space, found in distances.items()], axis=0)

    def _unseen(self, images: Images) -> dict[str, Distances]:
        train, holdout = self._train.nearest(images), self._holdout.nearest(images, exclude_self=True)
        features = self._features(images)
        near_train, _ = nearest(features, self._train_features)
        near_holdout = nearest(self._holdout_features, self._holdout_features, others=True)[0]
        count = len(images)
        return {
            "pixels": Distances(train.distance, holdout.distance, train.row, holdout.row),
            "features": Distances(
                near_train.distance, near_holdout.distance[:count], near_train.row, near_holdout.row[:count]
            ),
            **self._of_composites(images, exclude_self=True),
        }

    def _of_composites(self, images: Images, exclude_self: bool) -> dict[str, Distances]:
        return {
            space: _of_closest_part(train.nearest(images), holdout.nearest(images, exclude_self=exclude_self))
            for space, (train, holdout) in self._composites.items()
        }

    def _features(self, images: Images) -> NDArray[np.float32]:
        return self._standard(pixel_features(images))

    def _standard(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((features - self._centre) / self._spread, np.float32)


def _of_closest_part(train: Match, holdout: Match) -> Distances:
    """Distances of the part of each image that is closest to the training images relative to the holdout."""
    columns = train.distance, holdout.distance, train.row, holdout.row
    part = Distances(*columns).ratio.argmin(axis=1)
    return Distances(*(column[np.arange(len(part)), part] for column in columns))


def count_copies(samples: Distances, unseen: Distances, false_alarm: float = FALSE_ALARM) -> Copies:
    """Counts copies among samples by comparison with unseen images in the same space.

    Args:
        samples: distances of the samples.
        unseen: the same of holdout images that are not their own neighbours.
        false_alarm: probability that as many unseen images in place of the samples would exceed the limit.
    """
    from scipy.stats import betabinom

    count, unseen_count = len(samples.to_train), len(unseen.to_train)
    rank = max(math.ceil(EXPECTED * unseen_count), 1)
    threshold = np.sort(unseen.ratio)[rank - 1]
    limit = betabinom.isf(false_alarm, count, rank, unseen_count + 1 - rank)
    return Copies(count=int((samples.ratio < threshold).sum()), limit=int(limit), samples=count)


def _near_exact(samples: Distances, unseen: Distances, space: str) -> NDArray[np.bool_]:
    if space == "pixels":  # distances after alignment mean the same for all images, and need no comparison
        return samples.to_train < _NEAR_EXACT * min(unseen.to_train.min(), unseen.to_holdout.min())
    return samples.ratio < _FAR_BELOW * unseen.ratio.min()
