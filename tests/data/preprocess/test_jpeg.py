"""JPEG files that are built to keep a decoder busy are rejected before they are decoded; usual ones are not."""

from __future__ import annotations

import io
import struct
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.preprocess import decode, jpeg
from faceforge.data.preprocess.decode import RejectedError, decode_upright, open_image
from faceforge.data.preprocess.jpeg import plain_jpeg_size, too_many_scans
from faceforge.data.preprocess.prepare import prepare_image

CONFIG = IngestConfig.model_validate({"image_size": 32, "min_contrast": 0})
START, END = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body


def scan_bomb(edge: int, scans: int, channels: int = 1) -> bytes:
    """A progressive JPEG whose refinement scans are tiny but make the decoder visit all pixels."""
    parts = b"".join(bytes((channel, 0x11, 0)) for channel in range(1, channels + 1))
    frame = segment(0xFFC2, struct.pack(">BHHB", 8, edge, edge, channels) + parts)
    tables = segment(0xFFDB, b"\0" + b"\1" * 64)
    tables += segment(0xFFC4, b"\0" + bytes([1] + [0] * 15) + b"\0")
    tables += segment(0xFFC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    refinement = segment(0xFFDA, b"\1\1\0\1\x3f\x10") + bytes(8)
    return START + tables + frame + segment(0xFFDA, b"\1\1\0\0\0\0") + bytes(64) + refinement * scans + END


def saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize("edge, scans", [(64, jpeg.MAX_SCANS + 1), (5000, 6000), (10_000, 40)])
@pytest.mark.parametrize("channels", [1, 3])
def test_too_many_scans_are_rejected_at_once(edge: int, scans: int, channels: int) -> None:
    data = scan_bomb(edge, scans, channels)
    assert plain_jpeg_size(data) is None
    before = time.process_time()
    with pytest.raises(RejectedError, match="too many progressive scans"):
        prepare_image(data, CONFIG)
    assert time.process_time() - before < 0.5


def test_a_plain_progressive_jpeg_is_accepted() -> None:
    data = saved(NOISE, progressive=True)
    assert data.count(b"\xff\xda") == 10
    assert plain_jpeg_size(data) == (64, 64)
    assert not too_many_scans(data, (64, 64))
    assert not too_many_scans(data, (10_000, 10_000))


def test_bytes_of_the_marker_in_metadata_are_no_scans() -> None:
    data = saved(NOISE, comment=b"\xff\xda" * 500)
    assert not too_many_scans(data, (64, 64))
    prepare_image(data, CONFIG)


def test_a_little_padding_is_allowed() -> None:
    data = saved(NOISE)
    np.testing.assert_array_equal(
        prepare_image(START + b"\xff" * 100 + data[2:], CONFIG).pixels, prepare_image(data, CONFIG).pixels
    )


@pytest.mark.parametrize("suffix", ["MPO", "JPEG"])
def test_phone_photographs_with_a_second_picture_have_the_limits_of_jpeg(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 64 * 64 - 1)
    buffer = io.BytesIO()
    NOISE.save(
        buffer, suffix, **({"save_all": True, "append_images": [NOISE.resize((16, 16))]} if suffix == "MPO" else {})
    )
    assert prepare_image(buffer.getvalue(), CONFIG).measures.width == 64
    with pytest.raises(RejectedError, match="too large"):
        png = io.BytesIO()
        NOISE.save(png, "PNG")
        prepare_image(png.getvalue(), CONFIG)


@pytest.mark.parametrize("edge, factor", [(1024, 8), (1024, 4), (1536, 6), (1000, 3)])
def test_reduced_decoding_hardly_changes_photographs(edge: int, factor: int) -> None:
    """JPEG decoded at a fraction of its size, against full decoding: at most a few grey levels after resizing."""
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8)).resize(
        (edge, edge), Image.Resampling.BICUBIC
    )
    grain = random.normal(0, 8, (edge, edge, 3))
    data = saved(Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)), quality=92)
    size = edge // factor // 2
    with open_image(data) as image:
        reduced = decode_upright(image, data, size / edge)
    with open_image(data) as image:
        full = decode_upright(image, data)
    assert 2 * size <= reduced.width < full.width
    small, exact = (np.asarray(each.resize((size, size), Image.Resampling.HAMMING), float) for each in (reduced, full))
    assert np.abs(small - exact).mean() < 1
    assert np.abs(small - exact).max() < 8
