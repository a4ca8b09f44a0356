"""Finds the images of one set that look like an image of another set, by perceptual hash and thumbnail."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels, map_ordered

# Mean difference of thumbnails in grey levels: re-encoded copies stay below 5, different images start above 10.
MAX_THUMBNAIL_DIFFERENCE = 6
_BITS = 64
_MAX_BLOCKS = 16
_ROWS_AT_ONCE = 500_000  # 4 MB per array
_PAIRS_AT_ONCE = 1_000_000  # 8 MB per array
_PER_ROW, _PER_PAIR = 40, 50  # nanoseconds, about: for a row in one table, for comparing a pair
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplier for hashing, 2**64 divided by the golden ratio
_NO_MATCH = np.iinfo(np.int64).max
_ROW_BITS = 48

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
Thumbnails = tuple[Pixels, Pixels]


def near_duplicates(
    train: Hashes, holdout: Hashes, radius: int, thumbnails: Thumbnails | None = None
) -> tuple[Rows, Rows]:
    """The training images whose hash is within a Hamming radius of a holdout image's, and their nearest one.

    Exact, and nearly linear in the number of images for evenly distributed hashes, by multi-index hashing (Norouzi et
    al. 2012; with combinations of blocks as Manku et al. 2007). The 64 bits are split into m blocks. Two hashes that
    differ in at most `radius` bits agree in at least m - radius whole blocks, so they meet in one of the hash tables
    that there are for every choice of m - radius blocks. More blocks make more tables with fewer accidental meetings;
    m is chosen by the number of images. Memory is bounded apart from one number per training image.

    Hashes see only grey shapes. Where shapes hardly differ (aligned faces, drawings), colours must agree too: pairs
    whose thumbnails differ by more than `MAX_THUMBNAIL_DIFFERENCE` grey levels on average are different images.

    Args:
        train: (N,).
        holdout: (M,).
        radius: greatest number of differing bits; 0 = equal hashes only.
        thumbnails: `measures.Measures.thumbnail` of both, uint8 (N, K) and (M, K); None = compare hashes only.

    Returns:
        rows of `train`, ascending, and for each the nearest row of `holdout` (the first of equally near ones).
    """
    # Distance and row packed into one integer, so that the minimum is the nearest row, and the first of equally near.
    best = np.full(len(train), _NO_MATCH)
    if len(train) and len(holdout):
        masks = table_masks(block_count(len(train), len(holdout), radius), radius)
        search = partial(_search_table, train, holdout, radius, thumbnails)
        for rows, packed in map_ordered(search, masks, ahead=1):
            np.minimum.at(best, rows, packed)
    matched = np.flatnonzero(best != _NO_MATCH)
    return matched, best[matched] & ((1 << _ROW_BITS) - 1)


def block_count(train: int, holdout: int, radius: int) -> int:
    """The number of blocks for which searching takes the least time, for evenly distributed hashes."""

    def nanoseconds(blocks: int) -> float:
        pairs = train * holdout / 2 ** (_BITS * (blocks - radius) / blocks)
        return comb(blocks, radius) * (_PER_ROW * (train + holdout) + _PER_PAIR * pairs)

    return min(range(radius + 1, _MAX_BLOCKS + 1), key=nanoseconds)


def table_masks(blocks: int, radius: int) -> Iterator[np.uint64]:
    """For every choice of `blocks` - `radius` blocks, the mask of their bits.

    A block is every `blocks`-th bit: neighbouring bits, which are neighbouring frequencies, depend on each other.
    """
    bits = [sum(1 << bit for bit in range(block, _BITS, blocks)) for block in range(blocks)]
    for chosen in combinations(bits, blocks - radius):
        yield np.uint64(sum(chosen))


class _Table(NamedTuple):
    """A hash table: the rows of bucket k are `rows[first[k] : first[k + 1]]`."""

    mask: np.uint64
    shift: np.uint64
    first: NDArray[np.int32]
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, hashes: Hashes, mask: np.uint64) -> _Table:
        bits = max(len(hashes).bit_length(), 8)  # about one row per bucket
        shift = np.uint64(_BITS - bits)
        keys = _bucket(hashes, mask, shift)
        counts = np.bincount(keys, minlength=1 << bits)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return cls(mask, shift, first, np.argsort(keys, kind="stable").astype(np.int32))


def _bucket(hashes: Hashes, mask: np.uint64, shift: np.uint64) -> Rows:
    """The number of each hash's bucket: multiplicative hashing of the masked bits; equal bits share a bucket."""
    return (((hashes & mask) * _MIX) >> shift).astype(np.int64)


def _search_table(
    train: Hashes, holdout: Hashes, radius: int, thumbnails: Thumbnails | None, mask: np.uint64
) -> tuple[Rows, Rows]:
    """Training rows that have a near duplicate in the same bucket, and its distance and row, packed."""
    table = _Table.of(holdout, mask)
    rows, packed = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(train), _ROWS_AT_ONCE):
        keys = _bucket(train[start : start + _ROWS_AT_ONCE], mask, table.shift)
        first = table.first[keys]
        counts = table.first[keys + 1] - first
        filled = np.flatnonzero(counts)
        for chunk in _chunks(counts[filled]):
            members = filled[chunk]
            members_left, members_right = _pairs(members, first[members], counts[members], table.rows)
            members_left += start
            distances = np.bitwise_count(train[members_left] ^ holdout[members_right])
            near = np.flatnonzero(distances <= radius)
            left, right, distance = (
                values[near].astype(np.int64) for values in (members_left, members_right, distances)
            )
            if thumbnails is not None:
                similar = _similar_thumbnails(thumbnails, left, right)
                left, right, distance = left[similar], right[similar], distance[similar]
            rows.append(left)
            packed.append((distance << _ROW_BITS) | right)
    return np.concatenate(rows), np.concatenate(packed)


def _chunks(counts: NDArray[np.int32]) -> Iterator[slice]:
    """Consecutive rows whose counts add up to about `_PAIRS_AT_ONCE`."""
    total = np.cumsum(counts, dtype=np.int64)
    start = 0
    while start < len(counts):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + _PAIRS_AT_ONCE, "right")), start + 1)
        yield slice(start, stop)
        start = stop


def _pairs(
    members: Rows, first: NDArray[np.int32], counts: NDArray[np.int32], rows: NDArray[np.int32]
) -> tuple[Rows, NDArray[np.int32]]:
    """Each member with every row of its bucket, which is `rows[first : first + counts]`."""
    ends = np.cumsum(counts, dtype=np.int64)
    offset = np.arange(ends[-1]) + np.repeat(first - (ends - counts), counts)
    return np.repeat(members, counts), rows[offset]


def _similar_thumbnails(thumbnails: Thumbnails, left: Rows, right: Rows) -> NDArray[np.bool_]:
    """Whether the thumbnails of each pair of rows differ by at most `MAX_THUMBNAIL_DIFFERENCE` on average."""
    similar = np.empty(len(left), bool)
    for start in range(0, len(left), _ROWS_AT_ONCE // 8):
        part = slice(start, start + _ROWS_AT_ONCE // 8)
        one, other = thumbnails[0][left[part]], thumbnails[1][right[part]]
        difference = np.abs(one.astype(np.int16) - other).sum(1, dtype=np.int64)
        similar[part] = difference <= MAX_THUMBNAIL_DIFFERENCE * one.shape[1]
    return similar
