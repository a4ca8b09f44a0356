"""Converts pixels to sRGB by the colour profile that an image file carries."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from faceforge.data.pixels import Pixels

_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}  # Pillow's mode -> the profile's signature
_ROUNDING = 2  # levels; a profile that changes less is sRGB itself


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in sRGB: L stays L, RGB stays RGB (RGBA keeps its alpha), CMYK becomes RGB.

    Without a profile, or with one that is damaged, made for another mode, or sRGB itself, the pixels stay as they are,
    as in browsers.

    Args:
        image: mode L, RGB, RGBA or CMYK; others are returned unchanged.
        profile: ICC profile.
    """
    mode = "RGB" if image.mode == "RGBA" else image.mode
    transform = _transform(profile, mode) if profile and mode in _SPACES else None
    if transform is None:
        return image
    if mode == "L":
        return image.point(transform)
    if image.mode == "RGBA":
        colours = ImageCms.applyTransform(image.convert("RGB"), transform)
        assert colours is not None  # noqa: S101 - only with inPlace
        colours.putalpha(image.getchannel("A"))
        return colours
    return ImageCms.applyTransform(image, transform) or image


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """The transform to sRGB: for greyscale, the new level of each level; None if there is nothing to convert."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source, _srgb(), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.NOCACHE
        )  # without the cache of one pixel, the transform can be shared between threads
        if mode == "CMYK":
            return transform
        colours = Image.fromarray(_sample_colours(mode))
        converted = ImageCms.applyTransform(colours, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    assert converted is not None  # noqa: S101 - only with inPlace
    before, after = (np.asarray(each.convert("RGB"), np.int16) for each in (colours, converted))
    if np.abs(before - after).max() <= _ROUNDING:
        return None
    return np.asarray(converted)[0, :, 1].tolist() if mode == "L" else transform


def _sample_colours(mode: str) -> Pixels:
    """All grey levels, (1, 256), or a grid of colours, (1, 729, 3)."""
    if mode == "L":
        return np.arange(256, dtype=np.uint8)[None]
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)


@lru_cache(maxsize=1)
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")
