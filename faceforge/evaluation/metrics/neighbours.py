"""Nearest neighbours by Euclidean distance: all pairs are looked at, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS = 1024  # of the distance matrix held at a time

Points = NDArray[Any]  # (N, D), float32 features or uint8 pixels: a quarter of the memory


class Nearest(NamedTuple):
    """For every point: the nearest one of the other set, and how far it is (float64)."""

    distance: NDArray[np.float64]  # (N,)
    row: NDArray[np.intp]  # (N,)


def nearest(a: Points, b: Points, *, others: bool = False) -> tuple[Nearest, Nearest]:
    """For each of `a` (N, D) the nearest of `b` (M, D), and for each of `b` the nearest of `a`; N and M at least 1.

    With `others`, row i of `a` and row i of `b` are the same thing and not each other's neighbours.

    Neighbours are searched for in float32, around the data's centre; the distance to the one found is measured anew in
    float64 from the difference of the two, so copies are at distance 0.
    """
    rows, columns = np.empty(len(a), np.intp), np.zeros(len(b), np.intp)
    best = np.full(len(b), np.inf, np.float32)
    for part, squared in _squared_distances(a, b):
        if others:
            squared[np.arange(len(squared)), np.arange(part.start, part.stop)] = np.inf
        rows[part] = squared.argmin(axis=1)
        lowest = squared.argmin(axis=0)
        value = squared[lowest, np.arange(len(b))]
        better = value < best
        best[better], columns[better] = value[better], lowest[better] + part.start
    return Nearest(_between(a, b[rows]), rows), Nearest(_between(b, a[columns]), columns)


def _squared_distances(a: Points, b: Points) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    centre = b.mean(axis=0, dtype=np.float32)
    b = b - centre
    norms = (b**2).sum(axis=1)
    for start in range(0, len(a), _ROWS):
        part = a[start : start + _ROWS] - centre
        yield slice(start, start + len(part)), (part**2).sum(axis=1)[:, None] + norms - 2 * part @ b.T


def _between(a: Points, b: Points) -> NDArray[np.float64]:
    """Distances of corresponding rows."""
    parts = [slice(at, at + _ROWS) for at in range(0, len(a), _ROWS)]
    return np.concatenate([np.linalg.norm(a[part].astype(np.float64) - b[part], axis=1) for part in parts])
