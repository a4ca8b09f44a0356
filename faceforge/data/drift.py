"""Distances between two training sets, computed from their `dataset.json` alone.

- `drift/labels_COLUMN`: total variation distance of the class shares, 0 (equal) to 1 (no common class).
- `drift/width`, `height`, `brightness`, `contrast`, `sharpness`: Kolmogorov-Smirnov distance of the histograms, 0 to 1.
- `drift/thumbnail_frechet`: Frechet distance of normal distributions fitted to the images averaged to 4 x 4 pixels,
  minus its expected value for two samples of one distribution, divided by the older set's total variance: 0 = the
  same, 1 = the sets differ as much as single images do. It measures colours, light and framing, not identities.

A warning is given when a distance is above its limit and above what chance gives for this number of images.
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
_RARE = 0.001  # probability of a warning for two samples of one distribution

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """Metric name -> distance (see the module), and one warning for each distance above its limit."""

    metrics: dict[str, float]
    warnings: tuple[str, ...]


def compare(now: DatasetInfo, before: DatasetInfo) -> Drift:
    """Distances of the training split of `now` from that of `before`.

    A label column that only one of them has is a warning.
    """
    counts = now.counts["train"].total, before.counts["train"].total
    if min(counts) == 0:
        return Drift({}, ("one of the training sets is empty",))
    drift = _Measurements(math.sqrt(1 / counts[0] + 1 / counts[1]))
    for column in sorted({*now.labels, *before.labels}):
        if column not in now.labels or column not in before.labels:
            drift.warnings.append(f"label column {column!r} is {'gone' if column in before.labels else 'new'}")
        else:
            drift.compare_labels(column, _shares(now, column), _shares(before, column))
    drift.compare_distributions(now, before)
    drift.compare_thumbnails(now.statistics.thumbnails, before.statistics.thumbnails)
    return Drift(drift.metrics, tuple(drift.warnings))


class _Measurements:
    """Collects distances and warnings; `unit` is the root of 1/n + 1/m for n and m images."""

    def __init__(self, unit: float) -> None:
        self._unit = unit
        self.metrics: dict[str, float] = {}
        self.warnings: list[str] = []

    def compare_labels(self, column: str, now: dict[str, float], before: dict[str, float]) -> None:
        classes = sorted({*now, *before})
        differences = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in classes}
        most = max(classes, key=lambda name: abs(differences[name]))
        # For two samples of one distribution with k classes the expected distance is below unit * sqrt(k / 2 pi);
        # McDiarmid's inequality bounds how far it is exceeded.
        chance = self._unit * (math.sqrt(len(classes) / (2 * math.pi)) + math.sqrt(-math.log(_RARE) / 2))
        change = (
            f"class shares of {column!r}, most of all {most!r}: {before.get(most, 0):.1%} -> {now.get(most, 0):.1%}"
        )
        self._record(f"labels_{column}", sum(map(abs, differences.values())) / 2, max(LABEL_LIMIT, chance), change)

    def compare_distributions(self, now: DatasetInfo, before: DatasetInfo) -> None:
        chance = self._unit * math.sqrt(-math.log(_RARE / 2) / 2)  # asymptotic Kolmogorov-Smirnov quantile
        same_size = now.image_size == before.image_size and now.channels == before.channels
        ours, theirs = now.statistics.distributions, before.statistics.distributions
        for name in ours:
            if name not in theirs or ours[name].edges != theirs[name].edges:
                continue
            if same_size or name not in ("contrast", "sharpness"):  # these depend on the resolution
                value = _kolmogorov_smirnov(ours[name], theirs[name])
                change = f"{name}, median {_median(theirs[name]):.4g} -> {_median(ours[name]):.4g}"
                self._record(name, value, max(DISTRIBUTION_LIMIT, chance), change)

    def compare_thumbnails(self, now: ThumbnailMoments | None, before: ThumbnailMoments | None) -> None:
        if now is None or before is None or now.size != before.size:
            return
        if min(now.count, before.count) >= THUMBNAILS_AT_LEAST:
            distance = _thumbnail_frechet(now, before)
            self._record("thumbnail_frechet", distance, THUMBNAIL_LIMIT, "colours, light or framing")

    def _record(self, name: str, value: float, limit: float, what: str) -> None:
        self.metrics[f"drift/{name}"] = value
        if value > limit:
            self.warnings.append(f"{what} (drift/{name} {value:.3f}, limit {limit:.3f})")


def _shares(info: DatasetInfo, column: str) -> dict[str, float]:
    counts = info.counts["train"].classes[column]
    total = max(sum(counts.values()), 1)
    return {name: count / total for name, count in counts.items()}


def _kolmogorov_smirnov(one: Distribution, other: Distribution) -> float:
    """Greatest difference of the cumulative shares at the bin edges."""
    cumulated = [np.cumsum(part.counts) / max(sum(part.counts), 1) for part in (one, other)]
    return float(np.abs(cumulated[0] - cumulated[1]).max())


def _median(distribution: Distribution) -> float:
    """Middle of the bin that contains the median."""
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
    """Expected Frechet distance of two samples of one normal distribution, to first order in `weight` = 1/n + 1/m.

    With the eigenvalues v of the covariance it is weight * (sum v_i + sum v_i v_j (1 + [i = j]) / (2 (v_i + v_j))): a
    term for the means, and one for the covariances (second order of the Bures distance, for Wishart noise).
    """
    pairs = np.outer(values, values) * (1 + np.eye(len(values))) / np.maximum(2 * np.add.outer(values, values), 1e-12)
    return float(weight * (values.sum() + pairs.sum()))
