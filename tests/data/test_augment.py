from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from faceforge.config import AugmentConfig
from faceforge.data.augment import augment_image_set, jitter, plan_balance
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError


def settings(**fields: object) -> AugmentConfig:
    return AugmentConfig.model_validate(fields)


@pytest.fixture
def faces(tmp_path: Path) -> ImageSet:
    """Fifty uneven faces for training, ten held out, with a second label that halves them."""
    images, codes = draw_toyfaces(60, seed=1, shares={"neutral": 6, "smiling": 3, "glasses": 1})
    both = np.concatenate([codes, np.arange(60)[:, None] % 2], 1)
    vocabularies = {"expression": EXPRESSIONS, "half": ["even", "odd"]}
    return write_image_set(
        tmp_path / "faces", {"train": (images[:50], both[:50]), "holdout": (images[50:], both[50:])}, vocabularies
    )


def test_nothing_enabled_passes_everything_through(faces: ImageSet, tmp_path: Path) -> None:
    made = augment_image_set(faces.root, tmp_path / "out", settings(), seed=0)
    assert ImageSet.open(tmp_path / "out").info == made.info == faces.info
    np.testing.assert_array_equal(made.load("train")[0], faces.load("train")[0])


def test_flip_adds_mirror_images(faces: ImageSet, tmp_path: Path) -> None:
    made = augment_image_set(faces.root, tmp_path / "out", settings(flip=True), seed=0)
    images, codes = made.load("train")
    before, before_codes = faces.load("train")
    np.testing.assert_array_equal(images[::2], before)
    np.testing.assert_array_equal(images[1::2], before[:, :, ::-1])
    np.testing.assert_array_equal(codes[1::2], before_codes)
    assert made.info.digest != faces.info.digest
    assert made.info.parent_digest == faces.info.digest
    assert made.info.labels == faces.info.labels


def test_the_holdout_is_never_touched(faces: ImageSet, tmp_path: Path) -> None:
    made = augment_image_set(
        faces.root, tmp_path / "out", settings(flip=True, copies=1, balance=["expression"]), seed=0
    )
    assert made.info.holdout_digest == faces.info.holdout_digest
    assert made.info.counts["holdout"] == faces.info.counts["holdout"]
    for old, new in zip(faces.shards("holdout"), made.shards("holdout"), strict=True):
        assert old.read_bytes() == new.read_bytes()


def test_copies_resemble_their_originals_but_differ(faces: ImageSet, tmp_path: Path) -> None:
    made = augment_image_set(faces.root, tmp_path / "out", settings(copies=2), seed=0)
    images, codes = made.load("train")
    assert len(images) == 150
    families = images.reshape(50, 3, 32, 32, 3).astype(int)
    np.testing.assert_array_equal(codes.reshape(50, 3, 2)[:, 1], faces.load("train")[1])
    own = np.abs(families[:, 1] - families[:, 0]).mean((1, 2, 3))
    other = np.abs(families[:, 1] - np.roll(families[:, 0], 1, 0)).mean((1, 2, 3))
    assert (own > 0).all()
    assert own.mean() < other.mean() / 3
    assert not np.array_equal(families[:, 1], families[:, 2])


@pytest.mark.parametrize("columns", [["expression"], ["expression", "half"]])
@pytest.mark.parametrize("extras", [{}, {"flip": True, "copies": 1}])
def test_balance_makes_combinations_equally_frequent(
    faces: ImageSet, tmp_path: Path, columns: list[str], extras: dict[str, object]
) -> None:
    made = augment_image_set(faces.root, tmp_path / "out", settings(balance=columns, **extras), seed=0)
    before = Counter(tuple(row.labels[c] for c in columns) for row in faces.records("train"))
    after = Counter(tuple(row.labels[c] for c in columns) for row in made.records("train"))
    each = 3 if extras else 1
    assert after == dict.fromkeys(before, max(before.values()) * each)
    originals = {record.sha256 for record in faces.records("train")}
    assert originals <= {record.sha256 for record in made.records("train")}


def test_balance_repeats_where_nothing_may_change(faces: ImageSet, tmp_path: Path) -> None:
    made = augment_image_set(
        faces.root, tmp_path / "out", settings(balance=["expression"], colour=0, geometry=0), seed=0
    )
    assert {r.sha256 for r in made.records("train")} == {r.sha256 for r in faces.records("train")}
    assert made.info.counts["train"].total > 50


def test_balance_takes_turns() -> None:
    extra = plan_balance([("a",)] * 10 + [("b",)] * 4, seed=0)
    assert extra[:10] == [0] * 10
    assert sorted(extra[10:]) == [1, 1, 2, 2]
    assert plan_balance([], seed=0) == []


def test_the_seed_decides(faces: ImageSet, tmp_path: Path) -> None:
    digests = [
        augment_image_set(faces.root, tmp_path / "out", settings(copies=1), seed).info.digest for seed in (5, 5, 6)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_stays_in_range_and_shape(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, channels), np.uint8)
    for seed in range(10):
        result = jitter(pixels, settings(colour=1, geometry=1), np.random.default_rng(seed))
        assert (result.shape, result.dtype) == (pixels.shape, np.uint8)
    still = jitter(pixels, settings(colour=0, geometry=0), np.random.default_rng(0))
    np.testing.assert_array_equal(still, pixels)


def test_geometry_fills_borders_from_the_image() -> None:
    even = np.full((32, 32, 3), 200, np.uint8)
    for seed in range(20):
        assert (jitter(even, settings(colour=0, geometry=1), np.random.default_rng(seed)) == 200).all()


def test_geometry_moves_without_changing_colours() -> None:
    """A centred disc stays a disc of about its size, within the shift allowed."""
    y, x = np.mgrid[:32, :32] - 15.5
    disc = np.repeat(((x**2 + y**2 < 36) * 255).astype(np.uint8)[..., None], 3, -1)
    places = []
    for seed in range(20):
        result = jitter(disc, settings(colour=0, geometry=0.1), np.random.default_rng(seed))[..., 0] / 255.0
        assert 0.8 < result.sum() / (disc[..., 0] / 255.0).sum() < 1.2
        places.append([(result * axis).sum() / result.sum() for axis in (x, y)])
    assert np.abs(places).max() < 3.5
    assert np.std(places, 0).min() > 0.5


def test_mistakes_are_told(faces: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match=r"no label column 'mood'; it has expression, half"):
        augment_image_set(faces.root, tmp_path / "out", settings(balance=["mood"]), seed=0)
    with pytest.raises(FaceForgeError, match="does not exist"):
        augment_image_set(tmp_path / "none", tmp_path / "out", settings(), seed=0)
    with pytest.raises(FaceForgeError, match="image set to augment"):
        augment_image_set(faces.root, faces.root, settings(), seed=0)
    assert not (tmp_path / "out").exists()
