"""Finds the images of one set that look like an image of another set, by perceptual hash and thumbnail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels

# Mean difference of thumbnails in grey levels: re-encoded copies stay below 5, different images start above 10.
MAX_THUMBNAIL_DIFFERENCE = 6
_PAIRS_AT_ONCE = 2_000_000  # hashes compared at once: 16 MB per array
_THUMBNAILS_AT_ONCE = 100_000
_NO_MATCH = np.iinfo(np.int64).max
_ROW_BITS = 48

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def near_duplicates(
    train: Hashes, holdout: Hashes, radius: int, thumbnails: tuple[Pixels, Pixels] | None = None
) -> tuple[Rows, Rows]:
    """The training images whose hash is within a Hamming radius of a holdout image's, and their nearest one.

    Exact, by multi-index hashing (Norouzi et al. 2012): hashes that differ in at most `radius` of 64 bits agree fully
    in at least one of `radius` + 1 blocks of bits, so only pairs that share a block are compared: at radius 4 one in
    1,600 for evenly distributed hashes. Memory is bounded whatever the number of images.

    Hashes see only grey shapes. Where shapes hardly differ (aligned faces, drawings), colours must agree too: pairs
    whose thumbnails differ by more than `MAX_THUMBNAIL_DIFFERENCE` grey levels on average are different images.

    Args:
        train: (N,).
        holdout: (M,).
        radius: greatest number of differing bits; 0 = equal hashes only.
        thumbnails: `prepare.Measures.thumbnail` of both, uint8 (N, K) and (M, K); None = compare hashes only.

    Returns:
        rows of `train`, ascending, and for each the nearest row of `holdout` (the first of equally near ones).
    """
    # Distance and row packed into one integer, so that the minimum is the nearest row, and the first of equally near.
    best = np.full(len(train), _NO_MATCH)
    for shift, mask in _blocks(radius + 1):
        keys = (holdout >> shift) & mask
        order = np.argsort(keys, kind="stable")
        train_keys = (train >> shift) & mask
        first = np.searchsorted(keys[order], train_keys, "left")
        counts = np.searchsorted(keys[order], train_keys, "right") - first
        for rows in _row_chunks(counts):
            left, right = _pairs(rows, first, counts, order)
            distance = np.bitwise_count(train[left] ^ holdout[right]).astype(np.int64)
            near = distance <= radius
            left, right, distance = left[near], right[near], distance[near]
            if thumbnails is not None:
                similar = _similar_thumbnails(thumbnails, left, right)
                left, right, distance = left[similar], right[similar], distance[similar]
            np.minimum.at(best, left, (distance << _ROW_BITS) | right)
    matched = np.flatnonzero(best != _NO_MATCH)
    return matched, best[matched] & ((1 << _ROW_BITS) - 1)


def _blocks(count: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    """Shift and mask of each of `count` blocks that together make up the 64 bits."""
    edges = [64 * block // count for block in range(count + 1)]
    for low, high in pairwise(edges):
        yield np.uint64(low), np.uint64((1 << (high - low)) - 1)


def _row_chunks(counts: Rows) -> Iterator[slice]:
    """Consecutive rows whose counts add up to about `_PAIRS_AT_ONCE`."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + _PAIRS_AT_ONCE, "right")), start + 1)
        yield slice(start, stop)
        start = stop


def _pairs(rows: slice, first: Rows, counts: Rows, order: Rows) -> tuple[Rows, Rows]:
    """Each training row with every holdout row in its bucket, which is `order[first : first + count]`."""
    sizes = counts[rows]
    left = np.repeat(np.arange(rows.start, rows.stop), sizes)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return left, order[np.repeat(first[rows], sizes) + offset]


def _similar_thumbnails(thumbnails: tuple[Pixels, Pixels], left: Rows, right: Rows) -> NDArray[np.bool_]:
    """Whether the thumbnails of each pair of rows differ by at most `MAX_THUMBNAIL_DIFFERENCE` on average."""
    similar = np.empty(len(left), bool)
    for start in range(0, len(left), _THUMBNAILS_AT_ONCE):
        part = slice(start, start + _THUMBNAILS_AT_ONCE)
        one, other = thumbnails[0][left[part]], thumbnails[1][right[part]]
        difference = np.abs(one.astype(np.int16) - other).sum(1, dtype=np.int64)
        similar[part] = difference <= MAX_THUMBNAIL_DIFFERENCE * one.shape[1]
    return similar
