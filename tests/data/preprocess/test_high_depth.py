"""10 to 16 bits per channel become the same 8 bits, whatever the format and the unused high bits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.decode import RejectedError, decode_upright, open_image

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.stack([RAMP, RAMP.T, 255 - RAMP], -1)


def decode(data: bytes) -> Pixels:
    with open_image(data) as image:
        return np.asarray(decode_upright(image, data))


def deep(levels: Pixels, bits: int) -> NDArray[np.uint16]:
    """8-bit levels in the low `bits` of 16."""
    return np.rint(levels / 255 * (2**bits - 1)).astype(np.uint16)


def saved(values: NDArray[np.uint16], kind: str) -> bytes:
    cv2: Any = pytest.importorskip("cv2")
    encoded = cv2.imencode(f".{kind}", values[..., ::-1] if values.ndim == 3 else values)[1]
    return bytes(encoded.tobytes())


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("levels", [RAMP, COLOURS], ids=["grey", "colour"])
def test_unused_high_bits_do_not_darken(kind: str, bits: int, levels: Pixels) -> None:
    np.testing.assert_array_equal(decode(saved(deep(levels, bits), kind)), levels)


def test_opacity_has_16_bits_even_where_colours_have_12() -> None:
    opaque = np.full((16, 16, 1), 65535, np.uint16)
    blue_green_red_alpha = np.concatenate([deep(COLOURS, 12)[..., ::-1], opaque], -1)
    cv2: Any = pytest.importorskip("cv2")
    data = cv2.imencode(".png", blue_green_red_alpha)[1].tobytes()
    np.testing.assert_array_equal(decode(data), COLOURS)


@pytest.mark.parametrize("maxval", [100, 255, 4095, 65535])
@pytest.mark.parametrize("levels", [RAMP, COLOURS], ids=["pgm", "ppm"])
def test_pgm_and_ppm_state_their_largest_value(maxval: int, levels: Pixels) -> None:
    dark = levels // 8  # the largest value is far below `maxval`, and must stay so
    values = np.rint(dark / 255 * maxval)
    header = f"P{5 if levels.ndim == 2 else 6}\n# comment\n16 16\n{maxval}\n".encode()
    data = header + values.astype(np.uint8 if maxval < 256 else ">u2").tobytes()
    expected = np.rint(values / maxval * 255)
    np.testing.assert_allclose(decode(data), expected, atol=1)
    assert decode(data).max() < 40


@pytest.mark.parametrize("text, expected", [(b"P2\n2 1\n15\n0 15\n", [0, 255]), (b"P1\n2 1\n1 0\n", [0, 255])])
def test_plain_text_pnm(text: bytes, expected: list[int]) -> None:
    assert decode(text).ravel().tolist() == expected


def test_a_cut_off_ppm_is_damaged() -> None:
    with pytest.raises(RejectedError, match="damaged"):
        decode(b"P6\n16 16\n4095\n" + bytes(100))


def test_32_bit_integers_have_no_range() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(buffer, "TIFF")
    with pytest.raises(RejectedError, match="32-bit integer pixels have no known range"):
        decode(buffer.getvalue())
