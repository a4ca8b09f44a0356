"""How samples and real images overlap in a feature space: precision, recall, density, coverage.

Kynkaanniemi et al. (2019), "Improved precision and recall metric for assessing generative models" (k = 3), and
Naeem et al. (2020), "Reliable fidelity and diversity metrics for generative models" (k = 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

CHUNK = 1024  # rows of a distance matrix held at a time


class Overlap(NamedTuple):
    """Precision, recall and coverage lie in [0, 1]; density is >= 0 and about 1 for equal distributions."""

    precision: float  # share of samples that lie among the real images
    recall: float  # share of real images that lie among the samples
    density: float  # how many real neighbourhoods a sample lies in, relative to k: robust against outliers
    coverage: float  # share of real images that have a sample in their neighbourhood


def overlap(real: NDArray[np.floating], fake: NDArray[np.floating], k: int) -> Overlap:
    """All four, from balls around each point that reach to its k-th nearest neighbour of the same set.

    Args:
        real: (N, D) features of real images, N > k.
        fake: (M, D) features of samples, M > k.
        k: which neighbour gives the radius (the point itself is not counted).

    Returns:
        The four measures; all NaN when a feature is not finite.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise FaceForgeError(
            f"features of shapes {real.shape} and {fake.shape} cannot be compared; give (N, D) and (M, D)"
        )
    if min(len(real), len(fake)) <= k:
        raise FaceForgeError(
            f"{len(real)} real and {len(fake)} generated samples are too few for k={k}; give at least {k + 1}"
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        return Overlap(*[float("nan")] * 4)
    centre = real.mean(axis=0, dtype=np.float64)  # distances keep their digits when the data lie around the origin
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    balls_around = np.zeros(len(fake), dtype=np.int64)  # for each sample: the number of real balls that hold it
    recalled, covered = 0, 0
    for rows, distances in _distances(real, fake):
        inside = distances < real_radii[rows, None]
        balls_around += inside.sum(axis=0)
        recalled += int((distances < fake_radii).any(axis=1).sum())
        covered += int(inside.any(axis=1).sum())
    return Overlap(
        precision=float((balls_around > 0).mean()),
        recall=recalled / len(real),
        density=float(balls_around.mean() / k),
        coverage=covered / len(real),
    )


def recalled_images(real: NDArray[np.floating], fake: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """Which real images lie among the samples, bool (N,); their share is `Overlap.recall`. Features must be finite."""
    centre = real.mean(axis=0, dtype=np.float64)
    real, fake = real - centre, fake - centre
    radii = _radii(fake, k)
    return np.concatenate([(distances < radii).any(axis=1) for _, distances in _distances(real, fake)])


def _radii(points: NDArray[np.floating], k: int) -> NDArray[np.floating]:
    """Squared distance of each point to its k-th nearest other point, (N,)."""
    radii = np.empty(len(points), dtype=np.float64)
    for rows, distances in _distances(points, points):
        # The point itself comes first, at distance 0: hence index k, not k - 1.
        radii[rows] = np.partition(distances, k, axis=1)[:, k]
    return radii


def _distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    """Squared Euclidean distances of all pairs, as (rows of a, (len(rows), len(b))) chunks, float64."""
    b_norms = (b**2).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        part = a[start : start + CHUNK]
        distances = (part**2).sum(axis=1)[:, None] + b_norms - 2 * part @ b.T
        yield slice(start, start + len(part)), np.maximum(distances, 0, out=distances)
