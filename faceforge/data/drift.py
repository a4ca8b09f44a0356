"""How far a training set has moved from another one, told from their `dataset.json` alone.

- `drift/labels_COLUMN`: total variation distance of the class shares, 0 (equal) to 1 (no class in common).
- `drift/width`, `height`, `brightness`, `contrast`, `sharpness`: Kolmogorov-Smirnov distance of the distributions, 0
  to 1.
- `drift/thumbnail_frechet`: Frechet distance of normal distributions fitted to the images averaged to 4 x 4 pixels,
  less what chance alone gives for so many images, in units of the older set's total variance: 0 = the same, 1 = as far
  apart as its images are from each other. It sees colours, light and framing, not identities.

A distance is worth a warning when it is above its limit and above what chance gives for so few images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.info import DatasetInfo, Distribution, ThumbnailMoments
from faceforge.data.imageset.statistics import unpack_moments

LABEL_LIMIT = 0.1
DISTRIBUTION_LIMIT = 0.15
THUMBNAIL_LIMIT = 0.05  # a brightness lower by a tenth gives 0.09, one gender left out 0.02 (UTKFace)
THUMBNAILS_AT_LEAST = 100  # below, covariances are mostly chance
_RARE = 0.001  # how often equal sets may seem to differ

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """Distances by name, and a sentence about each that is worth one; see the module for what they mean."""

    metrics: dict[str, float]
    warnings: tuple[str, ...]


def compare(now: DatasetInfo, before: DatasetInfo) -> Drift:
    """The distances of the training split of `now` from that of `before`; what only one of them knows is a warning."""
    metrics: dict[str, float] = {}
    warnings: list[str] = []
    counts = now.counts["train"].total, before.counts["train"].total
    if min(counts) == 0:
        return Drift({}, ("one of the training sets is empty",))
    unit = math.sqrt(1 / counts[0] + 1 / counts[1])
    chance = unit * math.sqrt(-math.log(_RARE / 2) / 2)  # Kolmogorov-Smirnov

    def note(name: str, value: float, limit: float, what: str) -> None:
        metrics[f"drift/{name}"] = value
        if value > limit:
            warnings.append(f"{what} (drift/{name} {value:.3f}, limit {limit:.3f})")

    for column in sorted({*now.labels, *before.labels}):
        if column not in now.labels or column not in before.labels:
            warnings.append(f"label column {column!r} is {'gone' if column in before.labels else 'new'}")
            continue
        shares = [_shares(info, column) for info in (now, before)]
        classes = sorted({*shares[0], *shares[1]})
        apart = {name: shares[0].get(name, 0.0) - shares[1].get(name, 0.0) for name in classes}
        most = max(classes, key=lambda name: abs(apart[name]))
        was, is_now = (share.get(most, 0.0) for share in reversed(shares))
        # The expected distance of equals is below sqrt(k / 2 pi), and rarely exceeded by much (McDiarmid).
        luck = unit * (math.sqrt(len(classes) / (2 * math.pi)) + math.sqrt(-math.log(_RARE) / 2))
        said = f"class shares of {column!r}, most of all {most!r}: {was:.1%} -> {is_now:.1%}"
        note(f"labels_{column}", sum(map(abs, apart.values())) / 2, max(LABEL_LIMIT, luck), said)

    same_size = now.image_size == before.image_size and now.channels == before.channels
    ours, theirs = now.statistics.distributions, before.statistics.distributions
    for name in ours:
        if name not in theirs or ours[name].edges != theirs[name].edges:
            continue
        if same_size or name not in ("contrast", "sharpness"):  # these depend on the resolution
            value = _kolmogorov_smirnov(ours[name], theirs[name])
            said = f"{name}, median {_median(theirs[name]):.4g} -> {_median(ours[name]):.4g}"
            note(name, value, max(DISTRIBUTION_LIMIT, chance), said)
    looks, old_looks = now.statistics.thumbnails, before.statistics.thumbnails
    if (
        looks
        and old_looks
        and looks.size == old_looks.size
        and min(looks.count, old_looks.count) >= THUMBNAILS_AT_LEAST
    ):
        note("thumbnail_frechet", _thumbnail_frechet(looks, old_looks), THUMBNAIL_LIMIT, "colours, light or framing")
    return Drift(metrics, tuple(warnings))


def _shares(info: DatasetInfo, column: str) -> dict[str, float]:
    counts = info.counts["train"].classes[column]
    total = max(sum(counts.values()), 1)
    return {name: count / total for name, count in counts.items()}


def _kolmogorov_smirnov(one: Distribution, other: Distribution) -> float:
    """The greatest difference of the cumulated shares, at the edges of the bins."""
    cumulated = [np.cumsum(part.counts) / max(sum(part.counts), 1) for part in (one, other)]
    return float(np.abs(cumulated[0] - cumulated[1]).max())


def _median(distribution: Distribution) -> float:
    """The middle of the bin that the median lies in."""
    cumulated = np.cumsum(distribution.counts)
    place = int(np.searchsorted(cumulated, cumulated[-1] / 2))
    return (distribution.edges[place] + distribution.edges[place + 1]) / 2


def _thumbnail_frechet(now: ThumbnailMoments, before: ThumbnailMoments) -> float:
    (mean, covariance), (old_mean, old_covariance) = unpack_moments(now), unpack_moments(before)
    values, vectors = np.linalg.eigh(old_covariance)
    values = values.clip(0)
    root = (vectors * np.sqrt(values)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(0)).sum()
    distance = ((mean - old_mean) ** 2).sum() + np.trace(covariance) + np.trace(old_covariance) - 2 * cross
    total = max(float(np.trace(old_covariance)), 1e-12)
    return max(float(distance) - by_chance(values, 1 / now.count + 1 / before.count), 0.0) / total


def by_chance(values: Matrix, weight: float) -> float:
    """The Frechet distance of two samples of one normal distribution, to first order in `weight` = 1/n + 1/m.

    With the eigenvalues v of the covariance it is weight * (sum v_i + sum v_i v_j (1 + [i = j]) / (2 (v_i + v_j))): the
    means' part, and that of the covariances (second order of the Bures distance, for Wishart noise).
    """
    pairs = np.outer(values, values) * (1 + np.eye(len(values))) / np.maximum(2 * np.add.outer(values, values), 1e-12)
    return float(weight * (values.sum() + pairs.sum()))
