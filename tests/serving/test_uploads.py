from __future__ import annotations

import io
import struct
import time
import zlib
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image

from faceforge.serving.uploads import RefusedError, read_uploads

SPEC = SimpleNamespace(image_size=32, channels=3)


def file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def streams(*files: tuple[str, bytes]) -> list[tuple[str, BinaryIO]]:
    return [(name, io.BytesIO(data)) for name, data in files]


def photograph(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(noise).resize(size).convert(mode)


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large, with next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_photographs_are_prepared_for_the_model() -> None:
    files = streams(
        ("a.jpg", file(photograph((80, 60)), "JPEG")),
        ("b.png", file(photograph((20, 30), "L"))),
        ("c.webp", file(photograph((64, 64), "RGBA"), "WEBP")),
    )
    pixels = read_uploads(files, SPEC)
    assert (pixels.shape, pixels.dtype) == ((3, 32, 32, 3), np.uint8)
    files[0][1].seek(0)
    assert read_uploads(files[:1], SimpleNamespace(image_size=64, channels=1)).shape == (1, 64, 64, 1)


@pytest.mark.parametrize(
    "data, status",
    [
        (b"", 422),
        (b"%PDF-1.7 no image", 422),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 422),
        (bomb(60_000, 60_000), 422),
        (bomb(5_500, 5_500), 413),
        (file(Image.new("1", (10_000, 10_000))), 422),
        (file(photograph((80, 60)), "JPEG")[:700], 422),
        (file(Image.new("RGB", (64, 64), "red")), 422),
    ],
    ids=["empty", "pdf", "svg", "bomb", "large", "10k", "cut off", "one colour"],
)
def test_anything_else_is_refused_before_decoding(data: bytes, status: int) -> None:
    began = time.monotonic()
    with pytest.raises(RefusedError, match="^x: ") as refused:
        read_uploads(streams(("good", file(photograph((32, 32)))), ("x", data)), SPEC)
    assert refused.value.status == status
    assert time.monotonic() - began < 5
