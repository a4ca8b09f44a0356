from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.overview.examples import class_examples
from faceforge.data.pixels import pixel_digest

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (700, 32, 32, 3), np.uint8)
CODES = np.stack([RNG.integers(0, 3, 700), RNG.integers(0, 2, 700)], 1)
CODES[CODES[:, 0] == 2] = (1, 0)
CODES[5] = (2, 1)  # the only one of its class
CLASSES = {"hat": ["none", "cap", "fez"], "glad": ["no", "yes"]}


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder: Path = tmp_path_factory.mktemp("examples")
    splits = {"train": (IMAGES, CODES), "holdout": (255 - IMAGES[:9], CODES[:9])}
    return write_image_set(folder / "set", splits, CLASSES)  # type: ignore[arg-type]


def smallest(column: int, code: int, count: int) -> list[str]:
    return sorted(pixel_digest(IMAGES[row]) for row in np.flatnonzero(CODES[:, column] == code))[:count]


def test_every_class_shows_the_images_with_the_smallest_digests(image_set: ImageSet) -> None:
    examples = class_examples(image_set, ["hat", "glad"], 4)
    assert {column: list(classes) for column, classes in examples.items()} == CLASSES
    for place, (column, classes) in enumerate(CLASSES.items()):
        for code, name in enumerate(classes):
            assert [pixel_digest(image) for image in examples[column][name]] == smallest(place, code, 4)
    assert len(examples["hat"]["fez"]) == 1


def test_without_labels_all_images_are_one_class(image_set: ImageSet) -> None:
    examples = class_examples(image_set, [], 5)
    assert [pixel_digest(image) for image in examples[""][""]] == sorted(map(pixel_digest, IMAGES))[:5]
