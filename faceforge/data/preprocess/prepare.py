"""Turns the bytes of one source image into the pixels that are stored and their measures, or rejects it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
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
from faceforge.data.preprocess.phash import perceptual_hash

__all__ = ["CroppedImage", "Measures", "PreparedImage", "RejectedError", "crop_image", "measure_image", "prepare_image"]

_MODES = {1: "L", 3: "RGB"}
THUMBNAIL_EDGE = 4


class Measures(NamedTuple):
    """What is measured on one image; plain values, so that they can be stored as columns.

    Attributes:
        width: of the upright source image, pixels.
        height: likewise.
        brightness: mean grey level of the prepared image, 0..1.
        contrast: standard deviation of its grey levels, 0..0.5.
        sharpness: variance of the Laplacian (four neighbours) of its grey levels 0..255; low when blurred.
        phash: perceptual hash of 64 bits, 0 <= phash < 2**64 (`faceforge.data.preprocess.phash`).
        thumbnail: the prepared image averaged to 4 x 4 pixels, row by row, `channels` bytes each; used to measure
            drift and to confirm near duplicates.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    phash: int
    thumbnail: bytes


class CroppedImage(NamedTuple):
    """An image as it will be stored, before the quality filters that look at its pixels.

    Attributes:
        image: image_size x image_size, in mode L or RGB for 1 or 3 channels.
        source_size: width and height of the upright source, pixels.
    """

    image: Image.Image
    source_size: tuple[int, int]


class PreparedImage(NamedTuple):
    """An image as it will be stored: pixels uint8 (image_size, image_size, channels), and its measures."""

    pixels: Pixels
    measures: Measures


def prepare_image(
    data: bytes | Pixels, config: IngestConfig, box: Box | None = None, landmarks: Landmarks | None = None
) -> PreparedImage:
    """Decodes, crops, resizes, measures and filters one image: `crop_image`, then `measure_image`."""
    return measure_image(crop_image(data, config, box, landmarks), config)


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
        image = Image.fromarray(data)
        return _crop(image, image.size, _checked_region(image.size, config, box, landmarks), config)
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


def measure_image(cropped: CroppedImage, config: IngestConfig) -> PreparedImage:
    """Measures a cropped image and applies the quality filters that look at its pixels.

    Raises:
        RejectedError: uniform or blurred beyond the limits.
    """
    measures = _measure(*cropped)
    quality.check_contrast_and_sharpness(measures.contrast, measures.sharpness, config)
    return PreparedImage(np.atleast_3d(np.asarray(cropped.image)), measures)


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
    image: Image.Image, source_size: tuple[int, int], region: Region | None, config: IngestConfig
) -> CroppedImage:
    """Crops `image`, which is upright, L or RGB, and possibly smaller than the source; `region` is in source pixels."""
    scale = image.width / source_size[0]
    if region is None:
        region = _detected_region(image, config)
        quality.check_edge(region.edge / scale, config)
    else:
        region = region.scaled(scale)
    mode = _MODES[config.channels]
    image = image if image.mode == mode else image.convert(mode)
    return CroppedImage(crop_and_resize(image, region, config.image_size), source_size)


def _detected_region(image: Image.Image, config: IngestConfig) -> Region:
    """The region around the largest face that a detector finds, or aligned to its landmarks for `crop=landmarks`."""
    if not config.face_model:
        return square_around_box(detect_face(image), image.size, config.crop_margin)
    box, landmarks = detect_landmarks(image, config.face_model)
    if config.crop == "landmarks":
        return align_to_landmarks(landmarks, image.size, config.crop_margin)
    return square_around_box(box, image.size, config.crop_margin)


def _measure(image: Image.Image, source_size: tuple[int, int]) -> Measures:
    """All sums are integers below 2**53, so they are exact in float64 whatever their order."""
    import cv2

    luma = np.asarray(image.convert("L"))  # ITU-R 601-2, rounded
    laplacian = cv2.Laplacian(luma, cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    grey = luma.astype(np.float64)
    mean, variance = _mean_and_variance(grey)
    return Measures(
        width=source_size[0],
        height=source_size[1],
        brightness=mean / 255,
        contrast=variance**0.5 / 255,
        sharpness=_mean_and_variance(laplacian.astype(np.float64))[1],
        phash=perceptual_hash(grey),
        thumbnail=image.reduce(image.width // THUMBNAIL_EDGE).tobytes(),
    )


def _mean_and_variance(values: NDArray[np.float64]) -> tuple[float, float]:
    """Of integers in float64."""
    flat = values.ravel()
    count, total, squares = flat.size, int(flat.sum()), int(flat @ flat)
    return total / count, (squares * count - total * total) / count**2
