"""Unusual image files are decoded to the right colours or rejected with the reason."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.preprocess.decode import RejectedError, decode_upright, open_image
from faceforge.data.preprocess.prepare import prepare_image

CONFIG = IngestConfig.model_validate({"image_size": 32, "min_contrast": 0})


def colour(data: bytes) -> list[int]:
    """The one colour of a file whose pixels are all the same."""
    pixels = prepare_image(data, CONFIG).pixels
    assert pixels.shape == (32, 32, 3)
    assert np.ptp(pixels.reshape(-1, 3), axis=0).max() == 0
    return [int(value) for value in pixels[0, 0]]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deep_png(kind: int, samples: Sequence[int], more: bytes = b"") -> bytes:
    """A PNG of one colour with 16 bits per sample; Pillow does not write most of these."""
    rows = (b"\0" + struct.pack(f">{len(samples)}H", *samples) * 32) * 32
    header = struct.pack(">IIBBBBB", 32, 32, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "kind, samples, expected",
    [
        (0, (0x8080,), [128, 128, 128]),
        (2, (0x8080, 0xFFFF, 0x0102), [128, 255, 1]),
        (4, (0x0000, 0x8080), [127, 127, 127]),  # half transparent black over white
        (6, (0xFFFF, 0x0000, 0x0000, 0x8080), [255, 127, 127]),
    ],
)
def test_sixteen_bit_png(kind: int, samples: Sequence[int], expected: list[int]) -> None:
    assert colour(deep_png(kind, samples)) == expected


def test_a_colour_declared_transparent_becomes_white() -> None:
    assert colour(deep_png(0, (0x8080,), chunk(b"tRNS", struct.pack(">H", 0x8080)))) == [255, 255, 255]


@pytest.mark.parametrize(
    "bgr, expected",
    [
        (np.full((32, 32), 0x8080, np.uint16), [128, 128, 128]),
        (np.full((32, 32, 3), (0x0102, 0xFFFF, 0x8080), np.uint16), [128, 255, 1]),
        (np.full((32, 32, 4), (0, 0, 0xFFFF, 0x8080), np.uint16), [255, 127, 127]),
    ],
)
def test_sixteen_bit_tiff(bgr: Any, expected: list[int]) -> None:
    cv2 = pytest.importorskip("cv2")
    assert colour(cv2.imencode(".tiff", bgr)[1].tobytes()) == expected


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces(mode: str) -> None:
    white: dict[str, ArrayLike] = {"CMYK": (0, 0, 0, 0), "YCbCr": (255, 128, 128), "LAB": (255, 128, 128)}
    image = Image.new(mode, (32, 32), tuple(np.asarray(white[mode]).tolist()))
    assert min(colour(saved(image, "TIFF"))) >= 254


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), name) for name in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(np.subtract(colour(data), (255, 0, 0))).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_transparency_becomes_white(kind: str) -> None:
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert colour(saved(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))) == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("edge", [40, 800])  # as it is; and reduced while decoding
def test_every_exif_orientation(orientation: int, edge: int) -> None:
    upright = np.zeros((edge, edge, 3), np.uint8)
    upright[: edge // 2, : edge // 2] = 255
    upright[: edge // 2, edge // 2 :] = (255, 0, 0)
    # What must have been stored, for the turn that the tag orders to give `upright`.
    undo = [
        upright,
        upright[:, ::-1],
        upright[::-1, ::-1],
        upright[::-1],
        upright.transpose(1, 0, 2),
        np.rot90(upright),
        np.rot90(upright, 2).transpose(1, 0, 2),
        np.rot90(upright, -1),
    ]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "JPEG"):
        stored = Image.fromarray(np.ascontiguousarray(undo[orientation - 1]))
        pixels = prepare_image(saved(stored, kind, exif=exif.tobytes(), quality=95), CONFIG).pixels.astype(int)
        corners = [pixels[4, 4], pixels[4, 27], pixels[27, 4], pixels[27, 27]]
        assert np.abs(np.subtract(corners, [(255,) * 3, (255, 0, 0), (0,) * 3, (0,) * 3])).max() < 30


def test_names_and_extensions_do_not_matter_content_does() -> None:
    assert colour(saved(Image.new("RGB", (32, 32), "blue"), "WEBP", lossless=True)) == [0, 0, 255]
    with pytest.raises(RejectedError, match="not an image"):
        prepare_image(b"<!doctype html><title>404</title>", CONFIG)


def test_what_follows_the_image_is_ignored() -> None:
    assert colour(saved(Image.new("RGB", (32, 32), "blue"), "PNG") + b"junk" * 99) == [0, 0, 255]


def test_broken_tags_do_not_hurt() -> None:
    data = saved(Image.new("RGB", (32, 32), "white"), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert colour(data) == [255, 255, 255]


def claimed(kind: str, width: int, height: int) -> bytes:
    """A small file that says it is huge."""
    data = bytearray(saved(Image.new("RGB", (8, 8)), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.parametrize("edge", [12_000, 30_000])
def test_bombs_are_refused_before_they_are_decoded(kind: str, edge: int) -> None:
    with pytest.raises(RejectedError, match="too large"):
        prepare_image(claimed(kind, edge, edge), CONFIG)


def test_bombs_in_metadata_are_refused() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"A" * 30_000_000))
    data = saved(Image.new("RGB", (32, 32)), "PNG")
    with pytest.raises(RejectedError, match="damaged"):
        prepare_image(data[:33] + text + data[33:], CONFIG)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_no_damage_escapes_as_anything_but_a_reason(kind: str) -> None:
    rng = np.random.default_rng(0)
    whole = saved(Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8)), kind)
    reasons = []
    for _ in range(60):
        data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.5 else whole)
        for place in rng.integers(0, len(data), 12):
            data[place] = rng.integers(0, 256)
        try:
            assert prepare_image(bytes(data), CONFIG).pixels.shape == (32, 32, 3)
        except RejectedError as error:
            reasons.append(str(error))
    assert len(reasons) > 5
    assert all(reason and "\n" not in reason for reason in reasons)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"optimize": True}]
)
def test_opencv_and_pillow_decode_the_same_pixels(options: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (45, 67, 3), np.uint8)
    data = saved(Image.fromarray(noise), "JPEG", **options)
    with open_image(data) as image:
        quick = np.asarray(decode_upright(image, data))
    np.testing.assert_array_equal(quick, np.asarray(Image.open(io.BytesIO(data))))


def test_a_jpeg_without_its_end_is_refused_and_zeros_after_it_are_not() -> None:
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")
    prepare_image(data + bytes(100), CONFIG)
    with pytest.raises(RejectedError, match="damaged: .*truncated"):
        prepare_image(data[: len(data) // 2], CONFIG)


def run_length_bmp(edge: int, shades: int) -> bytes:
    """A greyscale BMP whose runs are one pixel long."""
    row = b"".join(bytes((1, column % shades)) for column in range(edge)) + b"\0\0"
    pixels = row * edge + b"\0\1"
    palette = b"".join(bytes((shade, shade, shade, 0)) for shade in range(256))
    offset = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, edge, edge, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + palette + pixels


def test_formats_that_are_slow_to_decode_are_read_up_to_a_megabyte() -> None:
    data = run_length_bmp(64, 256)
    with open_image(data) as image:
        pixels = np.asarray(decode_upright(image, data))
    assert pixels[0].tolist() == list(range(64))
    plain = b"P2\n1000 1000\n255\n" + b"100 " * 1_000_000
    for data in (run_length_bmp(1000, 256), plain):
        with pytest.raises(RejectedError, match="more than 1 MB in a slow format; save it as PNG"):
            prepare_image(data, CONFIG)


def in_pieces(kind: str, pieces: int) -> bytes:
    """A valid image with very many segments, chunks or blocks, or as much padding, before its pixels."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8))
    data = saved(image, kind.split()[0])
    if kind == "PNG":
        return data[:33] + chunk(b"prVt", b"") * pieces + data[33:]
    if kind == "GIF":
        return data[:13] + data[13:781] + b"\x21\xfe\x01x\0" * pieces + data[781:]
    return data[:2] + (b"\xff" if kind == "JPEG padding" else b"\xff\xfe\0\2") * pieces + data[2:]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG segments", "JPEG padding"])
def test_files_of_millions_of_pieces_are_rejected_in_seconds(kind: str) -> None:
    assert colour_range(in_pieces(kind, 1000)) > 200
    before = time.process_time()
    with pytest.raises(RejectedError, match="built of too many small pieces"):
        prepare_image(in_pieces(kind, 400_000 if kind == "JPEG padding" else 200_000), CONFIG)
    assert time.process_time() - before < 4


def colour_range(data: bytes) -> int:
    return int(np.ptp(prepare_image(data, CONFIG).pixels))
