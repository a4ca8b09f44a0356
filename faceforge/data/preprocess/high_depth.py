"""Converts images of more than 8 bits per channel to 8 bits; Pillow alone would clip or truncate them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

_BITS_PER_SAMPLE = 258  # TIFF tag
_PNG_DEPTH = 24  # offset of the bit depth in a PNG file
_DEPTHS = (8, 10, 12, 14, 16)
_FULL = 65_535


def decode_high_depth(image: ImageFile, data: bytes) -> Image.Image | None:
    """Decodes an opened image of 16 bits per channel to 8 bits in mode L, RGB or RGBA; None for all other images.

    Cameras and scanners often store 10, 12 or 14 bits in the low bits of 16. The depth is taken to be the smallest of
    8, 10, 12, 14 and 16 bits that holds the largest value; PGM and PPM files state their largest value.

    Args:
        image: from `open_image`.
        data: the bytes it was opened from.

    Raises:
        ValueError: integers beyond 16 bits, whose range is unknown, or damaged pixels.
    """
    if image.format == "PPM" and image.tile and image.tile[0].codec_name == "ppm":
        return Image.fromarray(_read_pnm(image, data))
    if image.mode.startswith("I"):
        image.load()
        values = np.asarray(image)
        if values.min() < 0 or values.max() > _FULL:
            raise ValueError("32-bit integer pixels have no known range")
        grey = _scaled(values.astype(np.uint16), stated=_FULL if image.format == "PPM" else None)
        if "transparency" not in image.info:
            return Image.fromarray(grey)
        alpha = np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)
        return Image.fromarray(np.stack([grey, grey, grey, alpha], -1))
    if image.mode not in {"RGB", "RGBA"} or not _has_16_bits(image, data):
        return None
    return _decode_colour(data)


def _has_16_bits(image: ImageFile, data: bytes) -> bool:
    if image.format == "PNG":
        return data[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10"
    return image.format == "TIFF" and 16 in np.atleast_1d(image.tag_v2.get(_BITS_PER_SAMPLE, 8))  # type: ignore[attr-defined]


def _decode_colour(data: bytes) -> Image.Image | None:
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    colours = _scaled(values[..., 2::-1])  # OpenCV's order is BGR, then alpha
    if values.shape[-1] == 3:
        return Image.fromarray(colours)
    return Image.fromarray(np.concatenate([colours, _scaled(values[..., 3:], stated=_FULL)], -1))


def _read_pnm(image: ImageFile, data: bytes) -> NDArray[np.uint8]:
    """Binary PGM and PPM with another largest value than 255, which Pillow would decode pixel by pixel in Python."""
    offset, arguments = image.tile[0].offset, image.tile[0].args
    mode, stated = cast(tuple[str, int], arguments)
    shape = (image.height, image.width, 3)[: 2 if mode == "L" else 3]
    values = np.frombuffer(data, np.uint8 if stated < 256 else ">u2", int(np.prod(shape)), offset)
    return _scaled(values.reshape(shape).astype(np.uint16), stated)


def _scaled(values: NDArray[Any], stated: int | None = None) -> NDArray[np.uint8]:
    """Values 0..65535 scaled to 0..255 and rounded; `stated` is the largest possible value if it is known."""
    largest = stated or next(2**bits - 1 for bits in _DEPTHS if values.max(initial=0) < 2**bits)
    levels = (np.arange(_FULL + 1, dtype=np.int64).clip(max=largest) * 255 + largest // 2) // largest
    scaled: NDArray[np.uint8] = levels.astype(np.uint8)[values]
    return scaled
