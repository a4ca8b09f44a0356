"""Squared Euclidean distances of many pairs: by matrix products in float32, block by block, checked in float64.

A block is one matrix product: with rows (a, |a|^2, 1) and columns (-2 b, 1, |b|^2) it gives |a - b|^2. Its rounding
error is below `tolerance`. Whatever depends on a smaller difference is decided by `exact`, so that results are those of
float64 at the speed of float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.metrics.blocks import STRIP, for_each_block, map_blocks, slices

_ROUNDING = 1e-5  # relative to the largest squared norms; at 2,048 features the error is below 2e-6

Points = NDArray[Any]  # (N, D), floating point features or uint8 pixels


class SquaredDistances:
    """Distances between the rows of two sets of points.

    Attributes:
        tolerance: limit of the rounding error of `block`.
    """

    def __init__(self, a: Points, b: Points) -> None:
        """Prepares points (N, D) and (M, D), N and M at least 1, finite."""
        self._a, self._b = a, b
        # Around the centre of the data the norms, and with them the rounding errors, are smallest.
        centre = b.mean(axis=0, dtype=np.float64)
        self._left, norms = _extended(a, centre)
        self._right, others = _extended(b, centre)
        self._right[:, :-2] *= -2
        self._right[:, [-2, -1]] = self._right[:, [-1, -2]]
        self.tolerance = _ROUNDING * float(norms.max() + others.max())

    def slices(self) -> list[slice]:
        """Consecutive rows of a, those of a block at a time."""
        return slices(len(self._a))

    def block(self, rows: slice, columns: slice = slice(None)) -> NDArray[np.float32]:
        """Distances float32 of some rows of a and some rows of b; may be slightly below 0."""
        distances: NDArray[np.float32] = self._left[rows] @ self._right[columns].T
        return distances

    def exact(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """Distances float64 (P,) of P pairs, from the differences; equal rows are at distance 0."""
        distances = np.empty(len(rows))
        for part in slices(len(rows), STRIP):
            differences = self._a[rows[part]].astype(np.float64) - self._b[columns[part]]
            distances[part] = np.einsum("ij,ij->i", differences, differences)
        return distances

    def exact_in_parallel(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """`exact` by all cores; not for use within `map_blocks`."""
        parts = map_blocks(lambda part: self.exact(rows[part], columns[part]), slices(len(rows)))
        return np.concatenate([np.empty(0), *parts])


def _extended(points: Points, centre: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rows (p, |p|^2, 1) of the points p around a centre, float32 (N, D + 2), and |p|^2 in float64."""
    extended = np.ones((len(points), points.shape[1] + 2), np.float32)
    norms = np.empty(len(points))

    def fill(rows: slice) -> None:
        extended[rows, :-2] = points[rows] - centre
        exact = extended[rows, :-2].astype(np.float64)
        extended[rows, -2] = norms[rows] = np.einsum("ij,ij->i", exact, exact)

    for_each_block(fill, slices(len(points), STRIP))
    return extended, norms
