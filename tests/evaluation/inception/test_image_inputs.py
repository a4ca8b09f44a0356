"""`faceforge fid` decodes images as ingest does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.evaluation.inception.image_inputs import open_images

GREY = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)


def test_16_bit_greyscale_has_the_pixels_of_its_8_bit_copy(tmp_path: Path) -> None:
    for name, pixels in (("deep", GREY.astype(np.uint16) * 257), ("flat", GREY)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    deep, flat = (next(iter(open_images(str(tmp_path / name)))) for name in ("deep", "flat"))
    np.testing.assert_array_equal(deep, flat)
    np.testing.assert_array_equal(flat, np.stack([GREY] * 3, -1))


def test_floating_point_images_are_skipped_with_the_reason(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "b.tif")
    images = open_images(str(tmp_path))
    assert len(list(images)) == 1
    assert images.skipped == ["b.tif: floating-point pixels have no known range"]


@pytest.mark.parametrize("orientation, shape", [(1, (12, 16, 3)), (6, (16, 12, 3))])
def test_images_are_upright(tmp_path: Path, orientation: int, shape: tuple[int, ...]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif)
    assert next(iter(open_images(str(tmp_path)))).shape == shape
