"""Squared Euclidean distances of many pairs: by matrix products in float32, block by block, checked in float64.

A block is one matrix product: with rows (a, |a|^2, 1) and columns (-2 b, 1, |b|^2) it gives |a - b|^2. Its rounding
error is below `tolerance`. Whatever depends on a smaller difference is decided by `exact`, so that results are those of
float64 at the speed of float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024  # rows of a block
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
        left, right = (a - centre).astype(np.float32), (b - centre).astype(np.float32)
        norms = [np.einsum("ij,ij->i", part, part, dtype=np.float64) for part in (left, right)]
        self._left = np.column_stack([left, norms[0], np.ones(len(left))]).astype(np.float32)
        self._right = np.column_stack([-2 * right, np.ones(len(right)), norms[1]]).astype(np.float32)
        self.tolerance = _ROUNDING * float(norms[0].max() + norms[1].max())

    def slices(self) -> list[slice]:
        """Consecutive rows of a, `BLOCK` at a time."""
        return [slice(start, min(start + BLOCK, len(self._a))) for start in range(0, len(self._a), BLOCK)]

    def block(self, rows: slice, columns: slice = slice(None)) -> NDArray[np.float32]:
        """Distances float32 of some rows of a and some rows of b; may be slightly below 0."""
        distances: NDArray[np.float32] = self._left[rows] @ self._right[columns].T
        return distances

    def exact(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """Distances float64 (P,) of P pairs, from the differences; equal rows are at distance 0."""
        distances = np.empty(len(rows))
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            differences = self._a[rows[part]].astype(np.float64) - self._b[columns[part]]
            distances[part] = np.einsum("ij,ij->i", differences, differences)
        return distances
