from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.preprocess import near_duplicates as module
from faceforge.data.preprocess.near_duplicates import Hashes, block_count, near_duplicates, table_masks


def random_hashes(count: int, seed: int) -> Hashes:
    """Few distinct bits, so that near pairs and equal distances abound."""
    rng = np.random.default_rng(seed)
    flips = rng.integers(0, 2, (count, 64)) * (rng.random((count, 64)) < 0.06)
    return np.packbits(flips.astype(np.uint8), axis=1).view(">u8")[:, 0].astype(np.uint64)


@pytest.mark.parametrize("radius", [0, 1, 3, 8])
def test_search_finds_what_comparing_all_pairs_finds(radius: int) -> None:
    train, holdout = random_hashes(700, 1), random_hashes(90, 2)
    distances = np.bitwise_count(train[:, None] ^ holdout[None])
    rows, of = near_duplicates(train, holdout, radius)
    assert 0 < len(rows) <= 700
    np.testing.assert_array_equal(rows, np.flatnonzero(distances.min(1) <= radius))
    np.testing.assert_array_equal(of, distances.argmin(1)[rows])


def test_search_does_not_depend_on_its_chunk_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    train, holdout = random_hashes(300, 1), random_hashes(50, 2)
    expected = near_duplicates(train, holdout, 4)
    monkeypatch.setattr("faceforge.data.preprocess.near_duplicates._PAIRS_AT_ONCE", 7)
    monkeypatch.setattr("faceforge.data.preprocess.near_duplicates._ROWS_AT_ONCE", 9)
    for chunked, whole in zip(near_duplicates(train, holdout, 4), expected, strict=True):
        np.testing.assert_array_equal(chunked, whole)


def test_the_same_shapes_in_other_colours_are_different_images() -> None:
    hashes = np.array([5, 5], np.uint64)
    colours = ((200, 0, 0), (203, 4, 0), (0, 0, 200))
    red, nearly, blue = (np.array([colour] * 16, np.uint8).ravel() for colour in colours)
    rows, of = near_duplicates(hashes, hashes[:1], 0, (np.stack([blue, nearly]), red[None]))
    assert (rows.tolist(), of.tolist()) == ([1], [0])


def test_empty_sets_have_no_near_duplicates() -> None:
    none, some = np.empty(0, np.uint64), np.array([1], np.uint64)
    for train, holdout in ((none, some), (some, none), (none, none)):
        assert [len(rows) for rows in near_duplicates(train, holdout, 4)] == [0, 0]


@pytest.mark.parametrize("blocks, radius", [(1, 0), (5, 4), (6, 4), (7, 4), (9, 8), (11, 8)])
def test_two_hashes_within_the_radius_share_a_table_whatever_their_bits(blocks: int, radius: int) -> None:
    """Any `radius` bits may differ: there is a table whose mask has none of them."""
    masks = [int(mask) for mask in table_masks(blocks, radius)]
    random = np.random.default_rng(0)
    for _ in range(2000):
        difference = sum(1 << int(bit) for bit in random.choice(64, radius, replace=False))
        assert any(mask & difference == 0 for mask in masks)


@pytest.mark.parametrize("blocks", [5, 6, 8])
def test_every_number_of_blocks_finds_the_same(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    train, holdout = random_hashes(700, 1), random_hashes(90, 2)
    expected = near_duplicates(train, holdout, 4)
    monkeypatch.setattr(module, "block_count", lambda *_: blocks)
    for found, rows in zip(near_duplicates(train, holdout, 4), expected, strict=True):
        np.testing.assert_array_equal(found, rows)


def test_the_work_grows_nearly_in_proportion_to_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    original = module._pairs

    def counted(members: np.ndarray, *arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = original(members, *arguments)
        compared.append(len(pairs[0]))
        return pairs

    monkeypatch.setattr(module, "_pairs", counted)
    hashes = np.random.default_rng(0).integers(0, 2**64, 110_000, np.uint64)
    near_duplicates(hashes[10_000:], hashes[:10_000], 4)
    assert sum(compared) < 10 * 100_000  # all pairs would be 10,000 * 100,000


def test_more_images_make_more_tables() -> None:
    assert [block_count(9 * size, size, 4) for size in (1000, 100_000, 1_600_000, 100_000_000)] == [5, 6, 6, 7]
