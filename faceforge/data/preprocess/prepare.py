"""Turns the bytes of one source image into the pixels that are stored and their measures, or rejects it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess import quality
from faceforge.data.preprocess.crop import (
    Box,
    Landmarks,
    Region,
    align_to_landmarks,
    crop_and_resize,
    crop_region,
    square_around_box,
)
from faceforge.data.preprocess.decode import RejectedError, decode_upright, open_image, upright_size
from faceforge.data.preprocess.face_model import detect_landmarks
from faceforge.data.preprocess.faces import MIN_FACE_SHARE, detect_face
from faceforge.data.preprocess.jpeg import decode_jpeg, plain_jpeg_size
from faceforge.data.preprocess.measures import Measures, measure

__all__ = ["CroppedImage", "PreparedImage", "RejectedError", "crop_image", "measure_images", "prepare_image"]

_MODES = {1: "L", 3: "RGB"}


class CroppedImage(NamedTuple):
    """An image as it will be stored, before the quality filters that look at its pixels.

    Attributes:
        pixels: uint8 (image_size, image_size) for 1 channel, (image_size, image_size, 3) for 3.
        source_size: width and height of the upright source, pixels.
    """

    pixels: Pixels
    source_size: tuple[int, int]


class PreparedImage(NamedTuple):
    """An image as it will be stored: pixels uint8 (image_size, image_size, channels), and its measures."""

    pixels: Pixels
    measures: Measures


def prepare_image(
    data: bytes | Pixels, config: IngestConfig, box: Box | None = None, landmarks: Landmarks | None = None
) -> PreparedImage:
    """Decodes, crops, resizes, measures and filters one image: `crop_image`, then `measure_images`.

    Raises:
        RejectedError: see both.
    """
    (image,) = measure_images([crop_image(data, config, box, landmarks)], config)
    if isinstance(image, RejectedError):
        raise image
    return image


def crop_image(
    data: bytes | Pixels, config: IngestConfig, box: Box | None = None, landmarks: Landmarks | None = None
) -> CroppedImage:
    """Decodes one image, rotates it upright, crops, resizes and converts it. Safe in threads and processes.

    Args:
        data: a file's bytes, or pixels uint8 (H, W, 3).
        config: size, channels, crop and limits.
        box: x, y, width, height of the face in pixels of the upright source, for `crop=box`.
        landmarks: (x, y) of eyes, nose and corners of the mouth, likewise, for `crop=landmarks`.

    Raises:
        RejectedError: not an image, damaged, too large, too small or too elongated, or without what the crop needs.
    """
    if not isinstance(data, bytes):
        given = data.shape[1], data.shape[0]
        return _crop(data, given, _checked_region(given, config, box, landmarks), config)
    if size := plain_jpeg_size(data):
        region = _checked_region(size, config, box, landmarks)
        # A JPEG four times as large as needed goes to Pillow, which decodes it at a fraction of its size.
        decoded = decode_jpeg(data) if 4 * _scale(size, region, config) > 1 else None
        if decoded is not None:
            return _crop(decoded, size, region, config)
    with open_image(data) as file:
        quality.check_aspect(file.size, config)  # before `upright_size`, which may decode
        size = upright_size(file)
        region = _checked_region(size, config, box, landmarks)
        return _crop(decode_upright(file, data, _scale(size, region, config)), size, region, config)


def measure_images(images: Sequence[CroppedImage], config: IngestConfig) -> list[PreparedImage | RejectedError]:
    """Measures cropped images and applies the quality filters that look at pixels.

    Returns:
        for each image, the prepared image, or the error that rejects it because it is uniform or blurred.
    """
    if not images:
        return []
    pixels = np.stack([cropped.pixels for cropped in images])
    pixels = pixels.reshape(*pixels.shape[:3], config.channels)
    measures = measure(pixels, [cropped.source_size for cropped in images])
    return [_filtered(PreparedImage(*prepared), config) for prepared in zip(pixels, measures, strict=True)]


def _filtered(image: PreparedImage, config: IngestConfig) -> PreparedImage | RejectedError:
    try:
        quality.check_contrast_and_sharpness(image.measures.contrast, image.measures.sharpness, config)
    except RejectedError as error:
        return error
    return image


def _scale(size: tuple[int, int], region: Region | None, config: IngestConfig) -> float:
    """Stored size / source size; for a face still to be detected, that of the smallest one."""
    return config.image_size / (region.edge if region else min(size) * MIN_FACE_SHARE)


def _checked_region(
    size: tuple[int, int], config: IngestConfig, box: Box | None, landmarks: Landmarks | None
) -> Region | None:
    """Applies the filters that need no pixels; see `crop_region` for the result."""
    quality.check_aspect(size, config)
    region = crop_region(size, config, box, landmarks)
    if region is not None:
        quality.check_edge(region.edge, config)
    return region


def _crop(
    image: Image.Image | Pixels, source_size: tuple[int, int], region: Region | None, config: IngestConfig
) -> CroppedImage:
    """Crops `image`, which is upright, L or RGB, and possibly smaller than the source; `region` is in source pixels."""
    if config.channels == 1 or region is None:
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    width = image.width if isinstance(image, Image.Image) else image.shape[1]
    scale = width / source_size[0]
    if region is None:
        assert isinstance(image, Image.Image)  # noqa: S101 - see above
        region = _detected_region(image, config)
        quality.check_edge(region.edge / scale, config)
    else:
        region = region.scaled(scale)
    mode = _MODES[config.channels]
    if isinstance(image, Image.Image) and image.mode != mode:
        image = image.convert(mode)
    return CroppedImage(crop_and_resize(image, region, config.image_size), source_size)


def _detected_region(image: Image.Image, config: IngestConfig) -> Region:
    """The region around the largest face that a detector finds, or aligned to its landmarks for `crop=landmarks`."""
    if not config.face_model:
        return square_around_box(detect_face(image), image.size, config.crop_margin)
    box, landmarks = detect_landmarks(image, config.face_model)
    if config.crop == "landmarks":
        return align_to_landmarks(landmarks, image.size, config.crop_margin)
    return square_around_box(box, image.size, config.crop_margin)
