"""Are samples copies of training images?

Whoever learnt the distribution is as near to images it never saw as to those it trained on; whoever memorised is nearer
to the latter. So everything here is a comparison between training images and holdout (Meehan et al. 2020, "A
non-parametric test to detect data-copying in generative models"; the attack is that of Chen et al. 2020, "GAN-Leaks").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.pixel_features import pixel_features, thumbnails
from faceforge.evaluation.diagnostics.rates import auc, true_positive_rate
from faceforge.evaluation.metrics.neighbours import Nearest, Points, nearest

MIN_IMAGES = 50  # of each kind
EXPECTED = 0.01  # share of unseen real images that count as copies, which sets the limit
PAIRS = 12
_EDGE = 32  # pixels: larger images are averaged down before their pixels are compared

LIMITS = (
    "These numbers find copies of whole images, up to mirroring and small changes, and a general pull towards the"
    " training images. They do not find a person shown in another pose, a copied detail, or what a cleverer attack"
    " would; and they are averages, so a few copied people among thousands may hide. Low numbers are no proof of"
    " privacy: only training with differential privacy gives a guarantee. High ones mean copying, unless the set holds"
    " near duplicates of the same pictures."
)
_SPACES = "; pixels: of images averaged down to 32 px, mirrored or not; features: gradients, colour and texture"
DESCRIPTIONS = {
    "privacy/closer_to_train_...": "share of samples nearer to a training image than to a holdout image, among equally"
    f" many of both; 0.5 = nothing memorised{_SPACES}",
    "privacy/distance_ratio_...": "median over samples of the distance to the nearest training image over that to the"
    f" nearest holdout image, equally many of both; 1 = nothing memorised{_SPACES}",
    "privacy/copies_...": "share of samples nearer to a training image, relative to their distance to the holdout, than"
    f" 99 % of real unseen images are; 0.01 = as for unseen images, 1 = all are copies{_SPACES}",
    "privacy/duplicates_...": "share of samples whose nearest other sample is nearer than that of 99 % of as many real"
    f" images; 0.01 = as varied as real images{_SPACES}",
    "privacy/membership_auc_...": "an attacker who holds the samples takes the images nearest to one for training"
    f" images: chance that a training image is nearer than a holdout image; 0.5 = learns nothing{_SPACES}",
    "privacy/membership_tpr_...": "share of training images this attack finds at 1 % false alarms; 0.01 = learns"
    f" nothing{_SPACES}",
}


@dataclass(frozen=True)
class Memorisation:
    """What was found.

    Attributes:
        metrics: by name, for every space (`..._pixels`, `..._features` and those given).
        closest: uint8 (K, 3, H, W, C), K at most 12: the samples most like copies in the space of pixels, the most
            suspicious first; each with its nearest training image and its nearest holdout image.
    """

    metrics: dict[str, float]
    closest: NDArray[np.uint8]


def memorisation(
    train: NDArray[np.uint8],
    holdout: NDArray[np.uint8],
    fake: NDArray[np.uint8],
    spaces: Mapping[str, tuple[NDArray[np.floating], ...]] | None = None,
    *,
    seed: int = 0,
) -> Memorisation:
    """Compares samples with the images a model trained on and with those it never saw.

    All pairs are compared: the work grows with len(fake) x len(train).

    Args:
        train: uint8 (T, S, S, C), every image trained on, for a copy may be of any of them.
        holdout: uint8 (H, S, S, C).
        fake: uint8 (N, S, S, C), samples.
        spaces: name -> features (T, D), (H, D), (N, D) of a network that was not trained on these images; one that was
            would itself tell the two kinds apart.
        seed: which training images are set against the holdout together.

    Raises:
        FaceForgeError: fewer than `MIN_IMAGES` of a kind.
    """
    if (fewest := min(len(train), len(holdout), len(fake))) < MIN_IMAGES:
        raise FaceForgeError(
            f"{fewest} images of a kind are too few to look for copies, at least {MIN_IMAGES} are needed"
        )
    order = np.random.default_rng([seed, 4]).permutation(len(train))
    train = train[order]
    pixels = _compare(*(_views(kind) for kind in (train, holdout, fake)))
    metrics = pixels.metrics("pixels")
    given = {name: (parts[0][order], *parts[1:]) for name, parts in (spaces or {}).items()}
    given["features"] = _standardised(*(pixel_features(kind) for kind in (train, holdout, fake)))
    for name, parts in given.items():
        metrics |= _compare(*([part.astype(np.float32)] for part in parts)).metrics(name)
    first = np.argsort(pixels.ratio, kind="stable")[:PAIRS]
    closest = [fake[first], train[pixels.in_train[first]], holdout[pixels.in_holdout[first]]]
    return Memorisation(metrics, np.stack(closest, axis=1))


class _Comparison(NamedTuple):
    """Samples (N), training images (T) and holdout (H) in one space."""

    in_train: NDArray[np.intp]  # (N,): the nearest training image
    in_holdout: NDArray[np.intp]  # (N,)
    ratio: NDArray[np.float64]  # (N,): distance to it over that to the nearest holdout image
    unseen_ratio: NDArray[np.float64]  # (H,): the same of holdout images, as if they were samples
    parts: NDArray[np.float64]  # (parts, N): distance to the nearest image of each part of the training set
    holdout: NDArray[np.float64]  # (N,): distance to the nearest of as many holdout images
    twins: NDArray[np.float64]  # distance of samples to the nearest other one
    real_twins: NDArray[np.float64]  # the same of as many holdout images
    train_to_fake: NDArray[np.float64]  # (T,)
    holdout_to_fake: NDArray[np.float64]  # (H,)

    def metrics(self, space: str) -> dict[str, float]:
        nearer = (self.parts < self.holdout).mean() + (self.parts == self.holdout).mean() / 2
        members, others = -self.train_to_fake, -self.holdout_to_fake
        values = {
            "closer_to_train": nearer,
            "distance_ratio": np.median(_ratio(self.parts, self.holdout)),
            "copies": (self.ratio < np.quantile(self.unseen_ratio, EXPECTED)).mean(),
            "duplicates": (self.twins <= np.quantile(self.real_twins, EXPECTED)).mean(),
            "membership_auc": auc(members, others),
            "membership_tpr": true_positive_rate(members, others, 0.01),
        }
        return {f"privacy/{name}_{space}": float(value) for name, value in values.items()}


def _compare(train: list[Points], holdout: list[Points], fake: list[Points]) -> _Comparison:
    """Distances between kinds, of each of which there are several views, the first being the image itself."""
    size = min(len(train[0]), len(holdout[0]))
    parts = [_nearest(fake, train[0][at : at + size]) for at in range(0, len(train[0]), size)]
    in_train = np.stack([to_part.row + at * size for at, (to_part, _) in enumerate(parts)])
    distances = np.stack([to_part.distance for to_part, _ in parts])
    best, rows = distances.argmin(axis=0), np.arange(len(fake[0]))
    to_holdout, holdout_to_fake = _nearest(fake, holdout[0])
    unseen = _nearest(holdout, train[0])[0].distance, _nearest(holdout, holdout[0], others=True)[0].distance
    twins = min(len(fake[0]), len(holdout[0]))
    return _Comparison(
        in_train=in_train[best, rows],
        in_holdout=to_holdout.row,
        ratio=_ratio(distances[best, rows], to_holdout.distance),
        unseen_ratio=_ratio(*unseen),
        parts=distances[: len(train[0]) // size],
        holdout=_nearest(fake, holdout[0][:size])[0].distance,
        twins=nearest(fake[0][:twins], fake[0][:twins], others=True)[0].distance,
        real_twins=nearest(holdout[0][:twins], holdout[0][:twins], others=True)[0].distance,
        train_to_fake=np.concatenate([from_part.distance for _, from_part in parts]),
        holdout_to_fake=holdout_to_fake.distance,
    )


def _nearest(views: list[Points], others_: Points, others: bool = False) -> tuple[Nearest, Nearest]:
    """Like `nearest`, where whichever view of an image comes nearest counts."""
    found = [nearest(view, others_, others=others) for view in views]
    return _best([first for first, _ in found]), _best([second for _, second in found])


def _best(found: list[Nearest]) -> Nearest:
    distance, row = np.stack([one.distance for one in found]), np.stack([one.row for one in found])
    best, rows = distance.argmin(axis=0), np.arange(distance.shape[1])
    return Nearest(distance[best, rows], row[best, rows])


def _ratio(near: NDArray[np.float64], far: NDArray[np.float64]) -> NDArray[np.float64]:
    """near / far; 1 where both are 0."""
    return np.divide(near, far, out=np.where(near > 0, np.inf, 1.0), where=far > 0)


def _views(images: NDArray[np.uint8]) -> list[Points]:
    """The pixels of images and of their mirror images, (N, D) each."""
    small = thumbnails(images, _EDGE)
    return [view.reshape(len(view), -1) for view in (small, small[:, :, ::-1])]


def _standardised(train: Points, *others: Points) -> tuple[Points, ...]:
    """Features of equal spread, as seen in `train`."""
    centre, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.maximum(spread, 1e-2 * spread.max())
    return tuple((part - centre) / spread for part in (train, *others))
