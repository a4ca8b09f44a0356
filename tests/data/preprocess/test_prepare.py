from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.prepare import RejectedError, prepare_image


def settings(**fields: object) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, "min_contrast": 0, "min_edge": 1, **fields})


def prepare(data: bytes | Pixels, config: IngestConfig) -> Pixels:
    return prepare_image(data, config).pixels


RGB32, GREY32 = settings(), settings(channels=1)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_pixels_of_the_right_size_are_left_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(prepare(file(Image.fromarray(pixels)), RGB32), pixels)
    np.testing.assert_array_equal(prepare(pixels, RGB32), pixels)
    assert prepare(pixels, GREY32).shape == (32, 32, 1)


def test_the_centre_is_kept() -> None:
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = (0, 200, 0)
    result = prepare(file(Image.fromarray(wide)), RGB32)
    assert (result[:, 3:-3] == (0, 200, 0)).all()  # the filter looks a little beyond the crop, as it should


def test_reduction_does_not_alias() -> None:
    """One-pixel stripes must become even grey; picking every n-th pixel would leave them black, white or striped."""
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    result = prepare(file(Image.fromarray(stripes)), RGB32).astype(int)
    assert abs(result[4:-4, 4:-4] - 128).max() <= 4


def test_small_images_are_enlarged() -> None:
    assert prepare(file(Image.new("RGB", (9, 7), "red")), RGB32).tolist() == [[[255, 0, 0]] * 32] * 32


def test_exif_rotation_is_applied() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:8] = 255  # white at the top of the stored image
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise when shown
    result = prepare(file(Image.fromarray(picture), exif=exif.tobytes()), RGB32)
    assert (result[:, -8:] == 255).all()
    assert (result[:, :24] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(mode: str) -> None:
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0)).convert(mode)
    options: dict[str, Any] = {"transparency": 0} if mode == "P" else {}
    assert (prepare(file(clear, **options), RGB32) == 255).all()


def test_printing_colours_are_converted() -> None:
    result = prepare(file(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG"), RGB32)
    assert (result[..., 0] > 200).all()
    assert (result[..., 1:] < 60).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind: str) -> None:
    deep = Image.fromarray(np.full((32, 32), 0x8080, np.uint16))
    assert (prepare(file(deep, kind), RGB32) == 0x80).all()


def test_one_bit_images_are_black_and_white() -> None:
    result = prepare(file(Image.new("1", (32, 32), 1)), GREY32)
    assert result.shape == (32, 32, 1)
    assert (result == 255).all()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty file"),
        (b"dear diary", "not an image"),
        (file(NOISE, "JPEG")[:900], "damaged"),
        (file(NOISE)[:5000], "damaged"),
        (bomb(), "too large"),
        (file(Image.new("F", (32, 32)), "TIFF"), "floating-point"),
        (file(Image.new("RGB", (32, 32)), "JPEG2000"), "JPEG 2000 files are not read; convert it to JPEG or PNG"),
    ],
)
def test_unusable_files_are_rejected_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        prepare(data, RGB32)


def test_without_crop_only_squares_pass() -> None:
    config = settings(crop="none")
    assert prepare(file(Image.new("RGB", (50, 50))), config).shape == (32, 32, 3)
    with pytest.raises(RejectedError, match="not square"):
        prepare(file(Image.new("RGB", (50, 40))), config)
