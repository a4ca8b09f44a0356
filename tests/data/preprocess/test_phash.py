from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance

from faceforge.config import IngestConfig
from faceforge.data.preprocess.measures import Measures
from faceforge.data.preprocess.prepare import prepare_image


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
