"""Colour profiles are applied, and none is needed."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.colour import to_srgb
from faceforge.data.preprocess.decode import decode_upright, open_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = Image.new("L", (8, 8), 100)
SKIN = Image.new("RGB", (8, 8), (200, 120, 90))


def tag(kind: bytes, body: bytes) -> bytes:
    return kind + bytes(4) + body + bytes(-len(body) % 4)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s12x4s4x", offset + len(body), b"", 0x02400000, b"mntr", space, b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)  # the illuminant D50
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return tag(b"XYZ ", struct.pack(">3i", *(round(value * 65536) for value in values)))


def gamma(value: float) -> bytes:
    return tag(b"curv", struct.pack(">IH", 1, round(value * 256)))


WHITE = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
LINEAR_GREY = profile(b"GRAY", {**WHITE, b"kTRC": gamma(1.0)})
# Display P3, as phones use it: its primaries adapted to D50.
P3_PRIMARIES = {
    b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
    b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
    b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
}
DISPLAY_P3 = profile(b"RGB ", {**WHITE, **P3_PRIMARIES, **{name: gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")}})


def decode(image: Image.Image, kind: str, **options: Any) -> Pixels:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    data = buffer.getvalue()
    with open_image(data) as opened:
        return np.asarray(decode_upright(opened, data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_wide_gamut_photographs_become_srgb(kind: str) -> None:
    plain = decode(SKIN, kind).astype(int)
    converted = decode(SKIN, kind, icc_profile=DISPLAY_P3).astype(int)
    # The same numbers mean a redder colour in Display P3 than in sRGB.
    assert (converted[..., 0] - plain[..., 0]).min() >= 5
    assert (plain[..., 1] - converted[..., 1]).min() >= 1


def test_greyscale_profiles_are_applied() -> None:
    pixels = decode(GREY, "PNG", icc_profile=LINEAR_GREY)
    assert pixels.shape == (8, 8)
    linear = 100 / 255
    assert abs(int(pixels[0, 0]) - 255 * (1.055 * linear ** (1 / 2.4) - 0.055)) <= 2


@pytest.mark.parametrize("data", [SRGB, b"", b"no profile", SRGB[:300], LINEAR_GREY, None])
def test_pixels_stay_exact_with_srgb_or_unusable_profiles(data: bytes | None) -> None:
    assert to_srgb(SKIN, data) is SKIN


def test_opacity_is_kept_for_the_blend_over_white() -> None:
    clear = SKIN.convert("RGBA")
    clear.putalpha(0)
    assert (decode(clear, "PNG", icc_profile=DISPLAY_P3) == 255).all()
