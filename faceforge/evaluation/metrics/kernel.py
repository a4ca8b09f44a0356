"""Kernel distance (KID in Inception features): the squared maximum mean discrepancy under a cubic kernel.

Binkowski et al. (2018), "Demystifying MMD GANs". Unbiased at any number of samples, unlike FID.

The mean over random subsets needs only sums of the kernel over the subsets. Where the subsets together have more pairs
than the whole sets, each kernel value is computed once for all subsets; else each subset is computed for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.blocks import STRIP, for_each_block, map_blocks, slices

SUBSETS, SUBSET_SIZE = 100, 1000

Floats = NDArray[np.floating]
BlockFunction = Callable[[NDArray[np.float64], slice, slice], Any]


class KernelDistance(NamedTuple):
    """An estimate of the squared discrepancy, about 0 (either sign) for equal distributions, and its spread."""

    mean: float  # over the subsets
    spread: float  # standard deviation over the subsets, each of `size` rows


def kernel_distance(
    real: Floats,
    fake: Floats,
    seed: int = 0,
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
) -> KernelDistance:
    """The unbiased estimate on random subsets, drawn without replacement.

    Args:
        real, fake: features (N, D) and (M, D); N and M at least 2.
        seed: random seed of the subsets.
        subsets: number of subsets.
        size: rows of each set in a subset; the smaller of N and M if that is less.

    Returns:
        Mean and spread; NaN when a feature is not finite.
    """
    _check(real, fake)
    rng = np.random.default_rng(seed)
    size = min(size, len(real), len(fake))
    chosen = [[rng.choice(len(part), size, replace=False) for part in (real, fake)] for _ in range(subsets)]
    x, y = _prepared(real, fake)
    if 4 * subsets * size**2 >= (len(real) + len(fake)) ** 2:
        members = [np.array([rows[side] for rows in chosen]) for side in (0, 1)]
        estimates = _from_all_pairs(x, y, *members)
    else:
        estimates = np.array([_mmd2(x.take(rows), y.take(others)) for rows, others in chosen])
    return KernelDistance(float(estimates.mean()), float(estimates.std()))


def mmd2(first: Floats, second: Floats) -> float:
    """The unbiased estimate from all rows: mean kernel within each set (a row not with itself) less twice that between.

    The kernel is (x . y / D + 1)^3. Products are computed in float32 around the common mean, all else in float64.
    """
    _check(first, second)
    return _mmd2(*_prepared(first, second))


class _Rows:
    """Rows of features, prepared for kernels; all rows that are compared have the same centre.

    The kernel is split about the centre c: x . y = (x - c) . (y - c) + (x . c - c . c / 2) + (y . c - c . c / 2). Only
    the first product is computed in float32, where it is small and its rounding error smaller still.
    """

    def __init__(self, features: Floats, centre: NDArray[np.float64]) -> None:
        self.count, dimensions = features.shape
        self.scaled = np.empty(features.shape, np.float32)
        self.offset, self.own = np.empty(self.count), np.empty(self.count)

        def prepare(rows: slice) -> None:
            exact = features[rows].astype(np.float64)
            self.offset[rows] = (exact @ centre - centre @ centre / 2) / dimensions + 0.5
            # The kernel of each row with itself.
            self.own[rows] = (np.einsum("ij,ij->i", exact, exact) / dimensions + 1) ** 3
            self.scaled[rows] = (exact - centre) / np.sqrt(dimensions)

        for_each_block(prepare, slices(self.count, STRIP))

    def take(self, rows: NDArray[np.integer]) -> _Rows:
        part = object.__new__(_Rows)
        part.count, part.scaled = len(rows), self.scaled[rows]
        part.offset, part.own = self.offset[rows], self.own[rows]
        return part


def _prepared(first: Floats, second: Floats) -> tuple[_Rows, _Rows]:
    centre = (first.mean(axis=0, dtype=np.float64) + second.mean(axis=0, dtype=np.float64)) / 2
    return _Rows(first, centre), _Rows(second, centre)


def _mmd2(x: _Rows, y: _Rows) -> float:
    n, m = x.count, y.count
    of_x, of_y, between = (float(_block_sum(*pair, lambda block, *_: block.sum())) for pair in ((x, x), (y, y), (x, y)))
    within = (of_x - x.own.sum()) / (n * (n - 1)) + (of_y - y.own.sum()) / (m * (m - 1))
    return float(within - 2 * between / (n * m))


def _from_all_pairs(x: _Rows, y: _Rows, of_x: NDArray[np.integer], of_y: NDArray[np.integer]) -> NDArray[np.float64]:
    """The estimates of subsets, given by rows (subsets, size) of each set, from the kernel matrices of all rows."""
    size = of_x.shape[1]
    members = [_membership(rows, part.count) for rows, part in ((of_x, x), (of_y, y))]

    def sums(left: int, right: int) -> BlockFunction:
        def per_subset(block: NDArray[np.float64], rows: slice, columns: slice) -> NDArray[np.float64]:
            return np.einsum("ij,ij->j", members[left][rows], block @ members[right][columns])

        return per_subset

    within = [
        (_block_sum(part, part, sums(side, side)) - members[side].T @ part.own) / (size * (size - 1))
        for side, part in enumerate((x, y))
    ]
    between = _block_sum(x, y, sums(0, 1)) / size**2
    return np.asarray(within[0] + within[1] - 2 * between)


def _membership(rows: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """1 where a row belongs to a subset, (count, subsets)."""
    mask = np.zeros((count, len(rows)))
    mask[rows, np.arange(len(rows))[:, None]] = 1
    return mask


def _block_sum(x: _Rows, y: _Rows, function: BlockFunction) -> Any:
    """The sum of a function of every block of the kernel matrix of two sets; by symmetry for a set with itself."""
    pairs = [
        (rows, columns)
        for rows in slices(x.count)
        for columns in slices(y.count)
        if x is not y or columns.start >= rows.start
    ]

    def value(pair: tuple[slice, slice]) -> Any:
        rows, columns = pair
        kernel = (x.scaled[rows] @ y.scaled[columns].T).astype(np.float64)
        kernel += x.offset[rows, None]
        kernel += y.offset[columns]
        kernel *= kernel * kernel
        result = function(kernel, rows, columns)
        return 2 * result if x is y and rows != columns else result

    return sum(map_blocks(value, pairs))


def _check(first: Floats, second: Floats) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise FaceForgeError(
            f"features of shapes {first.shape} and {second.shape} cannot be compared; give (N, D) and (M, D)"
        )
    if min(len(first), len(second)) < 2:
        raise FaceForgeError(
            f"{len(first)} and {len(second)} samples are too few for a kernel distance; give 2 of each"
        )
