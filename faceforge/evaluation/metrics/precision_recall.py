"""Overlap of samples and real images in a feature space: precision, recall, density, coverage.

Kynkaanniemi et al. (2019), "Improved precision and recall metric for assessing generative models" (k = 3), and
Naeem et al. (2020), "Reliable fidelity and diversity metrics for generative models" (k = 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.blocks import map_blocks
from faceforge.evaluation.metrics.distances import SquaredDistances
from faceforge.evaluation.metrics.neighbours import k_nearest

_NEIGHBOURS = 48  # kept per sample by `RecallSubsampler`: a fifth of the samples nearly always includes 3 of them
Floats = NDArray[np.floating]


class Overlap(NamedTuple):
    """Precision, recall and coverage lie in [0, 1]; density is >= 0 and about 1 for equal distributions."""

    precision: float  # share of samples in a ball of a real image
    recall: float  # share of real images in a ball of a sample
    density: float  # number of real balls that contain a sample, divided by k: robust against outliers
    coverage: float  # share of real images with a sample in their ball


def overlap(real: Floats, fake: Floats, k: int) -> Overlap:
    """All four metrics, from balls around each point that reach to its k-th nearest neighbour of the same set.

    Args:
        real: (N, D) features of real images, N > k.
        fake: (M, D) features of samples, M > k.
        k: which neighbour gives the radius (the point itself is not counted).

    Returns:
        The four metrics; all NaN when a feature is not finite.
    """
    return overlaps(real, fake, (k,))[0]


def overlaps(real: Floats, fake: Floats, ks: Sequence[int]) -> list[Overlap]:
    """`overlap` for several k, with the distances computed once."""
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise FaceForgeError(
            f"features of shapes {real.shape} and {fake.shape} cannot be compared; give (N, D) and (M, D)"
        )
    if min(len(real), len(fake)) <= (largest := max(ks)):
        raise FaceForgeError(
            f"{len(real)} real and {len(fake)} generated samples are too few for k={largest};"
            f" give at least {largest + 1}"
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        return [Overlap(*[float("nan")] * 4)] * len(ks)
    real_radii, fake_radii = (k_nearest(points, max(ks))[0] for points in (real, fake))
    distances = SquaredDistances(real, fake)

    def count(rows: slice) -> list[tuple[NDArray[np.integer], int, int]]:
        """Per k: how many balls of these real images hold each sample, and how many of them are recalled, covered."""
        block, counts = distances.block(rows), []
        for k in ks:
            inside = _below(block, real_radii[rows, k - 1, None], rows.start, distances)
            recalled = _below(block, fake_radii[:, k - 1], rows.start, distances).any(axis=1)
            counts.append((inside.sum(axis=0), int(recalled.sum()), int(inside.any(axis=1).sum())))
        return counts

    blocks = list(map_blocks(count, distances.slices()))
    results = []
    for position, k in enumerate(ks):
        balls = np.sum([block[position][0] for block in blocks], axis=0)  # around each sample
        recall, coverage = (sum(block[position][number] for block in blocks) / len(real) for number in (1, 2))
        results.append(Overlap(float((balls > 0).mean()), float(recall), float(balls.mean() / k), float(coverage)))
    return results


def recalled_images(real: Floats, fake: Floats, k: int) -> NDArray[np.bool_]:
    """Which real images lie in a ball of a sample, bool (N,); the mean is `Overlap.recall`. Features must be finite."""
    radii = k_nearest(fake, k)[0][:, k - 1]
    distances = SquaredDistances(real, fake)
    return np.concatenate(
        [_below(distances.block(rows), radii, rows.start, distances).any(axis=1) for rows in distances.slices()]
    )


class RecallSubsampler:
    """Recall of subsets of real images and samples, with the balls of each subset, without new distances."""

    def __init__(self, real: Floats, fake: Floats, k: int) -> None:
        """Prepares features (N, D) of real images and (M, D) of samples, M > k, finite."""
        self._k = k
        self._radii, self._neighbours = k_nearest(fake, min(_NEIGHBOURS, len(fake) - 1))
        distances = SquaredDistances(real, fake)
        parts = []
        for rows in distances.slices():
            # No ball of a subset is larger than this, so other pairs never count.
            images, samples = np.nonzero(distances.block(rows) < self._radii[:, -1] + distances.tolerance)
            parts.append((images + rows.start, samples))
        self._images, self._samples = (np.concatenate(part) for part in zip(*parts, strict=True))
        self._squared = distances.exact_in_parallel(self._images, self._samples)
        self._counts = len(real), len(fake)

    def recall(self, images: NDArray[np.integer], samples: NDArray[np.integer]) -> float:
        """Recall of some real images by some samples, given by their rows."""
        chosen = np.zeros(self._counts[1], bool)
        chosen[samples] = True
        # The k-th neighbour within the subset is the first up to which k chosen ones are counted.
        before = (np.cumsum(chosen[self._neighbours], axis=1) < self._k).sum(axis=1)
        kth = np.minimum(before, self._radii.shape[1] - 1)
        radii = self._radii[np.arange(len(kth)), kth]
        inside = chosen[self._samples] & (self._squared < radii[self._samples])
        recalled = np.zeros(self._counts[0], bool)
        recalled[self._images[inside]] = True
        return float(recalled[images].mean())


def _below(
    block: NDArray[np.float32], radii: NDArray[np.float64], first: int, distances: SquaredDistances
) -> NDArray[np.bool_]:
    """Which distances of a block, whose rows begin at `first`, are below the radii; near ties are decided exactly."""
    below = block < (radii - distances.tolerance).astype(np.float32)
    possibly = block <= (radii + distances.tolerance).astype(np.float32)
    rows, columns = np.nonzero(below ^ possibly)
    below[rows, columns] = distances.exact(rows + first, columns) < np.broadcast_to(radii, block.shape)[rows, columns]
    return below
