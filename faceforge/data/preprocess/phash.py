"""Perceptual hashes: 64 bits that hardly change when a picture is resized, compressed or brightened; and their search.

The DCT hash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): of the picture as
32 x 32 grey levels, the 8 x 8 lowest frequencies, each one bit: above or below their median.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels

_EDGE, _FREQUENCIES = 32, 8
UNLIKE = 6  # mean difference of thumbnails, grey levels: re-encoded copies stay below 5, look-alikes start above 10
_PAIRS = 2_000_000  # of hashes compared at once: 16 MB per array
_COMPARED = 100_000  # of thumbnails
_NOTHING = np.iinfo(np.int64).max

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def perceptual_hash(grey: NDArray[np.float64]) -> int:
    """The 64-bit hash, 0 <= hash < 2**64, of whole grey levels 0..255 (S, S), S a multiple of 32.

    All sums are whole numbers below 2**53, so that it is the same on every machine.
    """
    cosines = _cosines(len(grey))
    low = cosines @ grey @ cosines.T
    ordered = np.sort(low, axis=None)
    bits = 2 * low > ordered[31] + ordered[32]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(
    train: Hashes, holdout: Hashes, distance: int, thumbnails: tuple[Pixels, Pixels] | None = None
) -> tuple[Rows, Rows]:
    """The images of one set that look like one of another.

    Exact: hashes that differ in at most `distance` of 64 bits agree fully in at least one of `distance` + 1 blocks of
    bits, so only pairs that share a block are compared: at distance 4 one in 1,600, if hashes were evenly spread.
    Memory is bounded whatever the number of images.

    Hashes know shapes in grey. Where shapes hardly differ (aligned faces, drawings), colours must agree too: pairs
    whose thumbnails differ by more than `UNLIKE` grey levels on average are different pictures.

    Args:
        train: (N,).
        holdout: (M,).
        distance: greatest number of bits that differ; 0 = equal hashes only.
        thumbnails: `prepare.Measures.thumbnail` of both, uint8 (N, K) and (M, K); None = hashes alone decide.

    Returns:
        rows of `train`, ascending, and for each the nearest row of `holdout` (of equally near ones the first).
    """
    best = np.full(len(train), _NOTHING)  # distance and row in one number, so that the least is the nearest and first
    for shift, mask in _blocks(distance + 1):
        keys = (holdout >> shift) & mask
        order = np.argsort(keys, kind="stable")
        wanted = (train >> shift) & mask
        start = np.searchsorted(keys[order], wanted, "left")
        count = np.searchsorted(keys[order], wanted, "right") - start
        for rows in _chunks(count):
            sizes = count[rows]
            left = np.repeat(np.arange(rows.start, rows.stop), sizes)
            offset = np.arange(len(left)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            right = order[np.repeat(start[rows], sizes) + offset]
            apart = np.bitwise_count(train[left] ^ holdout[right]).astype(np.int64)
            near = apart <= distance
            left, right, apart = left[near], right[near], apart[near]
            for few in (slice(at, at + _COMPARED) for at in range(0, len(left), _COMPARED)):
                pair = left[few], right[few]
                alike = slice(None) if thumbnails is None else _alike(thumbnails[0][pair[0]], thumbnails[1][pair[1]])
                np.minimum.at(best, pair[0][alike], (apart[few][alike] << 48) | pair[1][alike])
    found = np.flatnonzero(best != _NOTHING)
    return found, best[found] & ((1 << 48) - 1)


def _alike(one: Pixels, other: Pixels) -> NDArray[np.bool_]:
    apart = np.abs(one.astype(np.int16) - other).sum(1, dtype=np.int64)
    result: NDArray[np.bool_] = apart <= UNLIKE * one.shape[1]
    return result


def _blocks(count: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    """Shift and mask of `count` blocks that together make up the 64 bits."""
    edges = [64 * block // count for block in range(count + 1)]
    for low, high in pairwise(edges):
        yield np.uint64(low), np.uint64((1 << (high - low)) - 1)


def _chunks(count: Rows) -> Iterator[slice]:
    """Consecutive rows whose counts add up to about `_PAIRS`."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + _PAIRS, "right")), start + 1)
        yield slice(start, stop)
        start = stop


@cache
def _cosines(edge: int) -> NDArray[np.float64]:
    """The lowest DCT-II frequencies over 32 pixels times 4096, whole numbers, spread over `edge` pixels; (8, edge)."""
    angles = np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_EDGE) + 1) * np.pi / (2 * _EDGE)
    return np.repeat(np.rint(4096 * np.cos(angles)), edge // _EDGE, axis=1)
