"""Nearest neighbours by Euclidean distance, by comparing all pairs in blocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.metrics.blocks import map_blocks
from faceforge.evaluation.metrics.distances import Points, SquaredDistances


class Nearest(NamedTuple):
    """For every point the nearest one of the other set, and its distance."""

    distance: NDArray[np.float64]  # (N,)
    row: NDArray[np.intp]  # (N,)


def nearest(a: Points, b: Points, *, others: bool = False) -> tuple[Nearest, Nearest]:
    """For each of `a` (N, D) the nearest of `b` (M, D), and for each of `b` the nearest of `a`; N and M at least 1.

    With `others`, row i of `a` and row i of `b` are the same point and not each other's neighbours.

    Neighbours are found in float32; their distances are computed in float64 from the difference of the two points, so
    that copies are at distance 0.
    """
    distances = SquaredDistances(a, b)

    def search(part: slice) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        squared = distances.block(part)
        if others:
            squared[np.arange(len(squared)), np.arange(part.start, part.stop)] = np.inf
        lowest = squared.argmin(axis=0)
        return squared.argmin(axis=1), lowest + part.start, squared[lowest, np.arange(len(b))]

    rows, columns = np.empty(len(a), np.intp), np.zeros(len(b), np.intp)
    best = np.full(len(b), np.inf, np.float32)
    for part, found in zip(distances.slices(), map_blocks(search, distances.slices()), strict=True):
        rows[part], lowest, values = found
        better = values < best
        best[better], columns[better] = values[better], lowest[better]
    to_b = np.sqrt(distances.exact_in_parallel(np.arange(len(a)), rows))
    to_a = np.sqrt(distances.exact_in_parallel(columns, np.arange(len(b))))
    return Nearest(to_b, rows), Nearest(to_a, columns)


def k_nearest(points: Points, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The k nearest other points of each of `points` (N, D), N > k.

    Returns:
        Squared distances float64 (N, k) in ascending order, and the rows of the neighbours (N, k).
    """
    distances = SquaredDistances(points, points)
    candidates = min(k + 4, len(points) - 1)  # a few more, as rounding may change the order
    parts = distances.slices()
    bounds = np.concatenate(list(map_blocks(lambda part: _bounds(distances, part, candidates), parts)))
    # The matrix is symmetric: a block above the diagonal serves its rows and its columns.
    pairs = [(first, second) for at, first in enumerate(parts) for second in parts[at:]]
    found = list(map_blocks(lambda pair: _within(distances, *pair, bounds), pairs))
    rows, columns, values = (np.concatenate([part[number] for part in found]) for number in range(3))
    order = np.lexsort((values, rows))
    starts = np.searchsorted(rows[order], np.arange(len(points)))
    chosen = columns[order[starts[:, None] + np.arange(candidates)]]
    own = np.repeat(np.arange(len(points)), candidates)
    exact = distances.exact_in_parallel(own, chosen.ravel()).reshape(-1, candidates)
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(exact, order, axis=1), np.take_along_axis(chosen, order, axis=1)


def _bounds(distances: SquaredDistances, part: slice, count: int) -> NDArray[np.float32]:
    """Upper bounds of the distances of some points to their `count` nearest others: those among themselves."""
    block = distances.block(part, part)
    if len(block) <= count:
        return np.full(len(block), np.inf, np.float32)
    np.fill_diagonal(block, np.inf)
    return np.partition(block, count - 1, axis=1)[:, count - 1]


def _within(
    distances: SquaredDistances, first: slice, second: slice, bounds: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Rows, columns and distances of the pairs of two parts that are within the bound of the row's point."""
    block = distances.block(first, second)
    if first == second:
        np.fill_diagonal(block, np.nan)  # compares false with every bound
    rows, columns = np.nonzero(block <= bounds[first, None])
    values = block[rows, columns]
    rows, columns = rows + first.start, columns + second.start
    if first == second:
        return rows, columns, values
    others, own = np.nonzero(block <= bounds[second])
    return (
        np.concatenate([rows, own + second.start]),
        np.concatenate([columns, others + first.start]),
        np.concatenate([values, block[others, own]]),
    )
