from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from faceforge.config import IngestConfig
from faceforge.data.preprocess.phash import Hashes, near_duplicates
from faceforge.data.preprocess.prepare import Measures, prepare_image


def measures(image: Image.Image) -> Measures:
    return prepare_image(np.asarray(image), IngestConfig.model_validate({"image_size": 32})).measures


def picture(seed: int) -> Image.Image:
    """Soft blobs: what a photograph is to a hash."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((120, 120), Image.Resampling.BICUBIC)


def bits(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_hashes_survive_what_copies_go_through() -> None:
    original = picture(0)
    jpeg = io.BytesIO()
    original.save(jpeg, "JPEG", quality=40)
    for copy in (original.resize((77, 77)), ImageEnhance.Brightness(original).enhance(0.8), Image.open(jpeg)):
        assert bits(measures(copy).phash, measures(original).phash) <= 4
    assert min(bits(measures(picture(seed)).phash, measures(original).phash) for seed in range(1, 20)) > 8


def test_hashes_are_the_same_on_every_machine() -> None:
    assert measures(picture(1)).phash == 11661694351360923123


def random_hashes(count: int, seed: int) -> Hashes:
    """Few distinct bits, so that near pairs and equal distances abound."""
    rng = np.random.default_rng(seed)
    flips = rng.integers(0, 2, (count, 64)) * (rng.random((count, 64)) < 0.06)
    return np.packbits(flips.astype(np.uint8), axis=1).view(">u8")[:, 0].astype(np.uint64)


@pytest.mark.parametrize("distance", [0, 1, 3, 8])
def test_search_finds_what_comparing_all_pairs_finds(distance: int) -> None:
    train, holdout = random_hashes(700, 1), random_hashes(90, 2)
    apart = np.bitwise_count(train[:, None] ^ holdout[None])
    rows, of = near_duplicates(train, holdout, distance)
    assert 0 < len(rows) <= 700
    np.testing.assert_array_equal(rows, np.flatnonzero(apart.min(1) <= distance))
    np.testing.assert_array_equal(of, apart.argmin(1)[rows])


def test_search_does_not_depend_on_how_it_is_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    train, holdout = random_hashes(300, 1), random_hashes(50, 2)
    whole = near_duplicates(train, holdout, 4)
    monkeypatch.setattr("faceforge.data.preprocess.phash._PAIRS", 7)
    monkeypatch.setattr("faceforge.data.preprocess.phash._COMPARED", 3)
    for cut, uncut in zip(near_duplicates(train, holdout, 4), whole, strict=True):
        np.testing.assert_array_equal(cut, uncut)


def test_same_shapes_in_other_colours_are_no_copies() -> None:
    hashes = np.array([5, 5], np.uint64)
    colours = ((200, 0, 0), (203, 4, 0), (0, 0, 200))
    red, nearly, blue = (np.array([colour] * 16, np.uint8).ravel() for colour in colours)
    rows, of = near_duplicates(hashes, hashes[:1], 0, (np.stack([blue, nearly]), red[None]))
    assert (rows.tolist(), of.tolist()) == ([1], [0])


def test_nothing_is_near_nothing() -> None:
    none, some = np.empty(0, np.uint64), np.array([1], np.uint64)
    for train, holdout in ((none, some), (some, none), (none, none)):
        assert [len(found) for found in near_duplicates(train, holdout, 4)] == [0, 0]
