from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.preprocess.near_duplicates import Hashes, near_duplicates


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
    monkeypatch.setattr("faceforge.data.preprocess.near_duplicates._THUMBNAILS_AT_ONCE", 3)
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
