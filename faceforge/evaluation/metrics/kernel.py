"""Kernel distance (KID in Inception features): the squared maximum mean discrepancy under a cubic kernel.

Binkowski et al. (2018), "Demystifying MMD GANs". Unbiased at any number of samples, where FID is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

SUBSETS, SUBSET_SIZE = 100, 1000
CHUNK = 2048  # rows of a kernel matrix held at a time


class KernelDistance(NamedTuple):
    """An estimate of the squared discrepancy, about 0 (either sign) for equal distributions, and its spread."""

    mean: float  # over the subsets
    spread: float  # standard deviation over the subsets, each of `size` rows


def kernel_distance(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    seed: int = 0,
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
) -> KernelDistance:
    """The unbiased estimate on random subsets, drawn without replacement.

    Args:
        real, fake: features (N, D) and (M, D); N and M at least 2.
        seed: of the subsets.
        subsets: how many.
        size: rows of each set in a subset; the smaller of N and M if that is less.

    Returns:
        Mean and spread; NaN when a feature is not finite.
    """
    _check(real, fake)
    rng = np.random.default_rng(seed)
    size = min(size, len(real), len(fake))
    found = [
        mmd2(real[rng.choice(len(real), size, replace=False)], fake[rng.choice(len(fake), size, replace=False)])
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(found)), float(np.std(found)))


def mmd2(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """The unbiased estimate from all rows: mean kernel within each set (a row not with itself) less twice that between.

    The kernel is (x . y / D + 1)^3, in float64.
    """
    _check(first, second)
    n, m = len(first), len(second)
    x, y = first.astype(np.float64), second.astype(np.float64)
    within = (_kernel_sum(x, x) - _own(x)) / (n * (n - 1))
    within += (_kernel_sum(y, y) - _own(y)) / (m * (m - 1))
    return float(within - 2 * _kernel_sum(x, y) / (n * m))


def _kernel_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    total = 0.0
    for start in range(0, len(first), CHUNK):
        base = first[start : start + CHUNK] @ second.T
        base /= first.shape[1]
        base += 1
        total += float((base * base * base).sum())  # many times faster than ** 3
    return total


def _own(rows: NDArray[np.float64]) -> float:
    """The kernel of each row with itself, summed."""
    return float((((rows**2).sum(axis=1) / rows.shape[1] + 1) ** 3).sum())


def _check(first: NDArray[np.floating], second: NDArray[np.floating]) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise FaceForgeError(
            f"features of shapes {first.shape} and {second.shape} cannot be compared; give (N, D) and (M, D)"
        )
    if min(len(first), len(second)) < 2:
        raise FaceForgeError(
            f"{len(first)} and {len(second)} samples are too few for a kernel distance; give 2 of each"
        )
