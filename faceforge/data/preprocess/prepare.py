"""From a sample's bytes to the pixels that are stored, with what was measured on the way, or the reason why not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess import quality
from faceforge.data.preprocess.crop import Box, Landmarks, Region, around, region, resized
from faceforge.data.preprocess.decode import RejectedError, opened, plain_jpeg, upright, upright_size, whole_jpeg
from faceforge.data.preprocess.faces import SMALLEST_FACE, find_face
from faceforge.data.preprocess.phash import perceptual_hash

__all__ = ["Cut", "Measures", "Prepared", "RejectedError", "cut_out", "measured", "prepare_image"]

_MODES = {1: "L", 3: "RGB"}
THUMBNAIL = 4  # edge


class Measures(NamedTuple):
    """What is known of one image beside its pixels; plain values, so that they can be stored as columns.

    Attributes:
        width: of the source, upright, pixels.
        height: likewise.
        brightness: mean grey level of the prepared image, 0..1.
        contrast: standard deviation of its grey levels, 0..0.5.
        sharpness: variance of the Laplacian (four neighbours) of its grey levels 0..255; small = blurred.
        phash: perceptual hash of 64 bits, 0 <= phash < 2**64 (`faceforge.data.preprocess.phash`).
        thumbnail: the prepared image averaged to 4 x 4 pixels, row by row, `channels` bytes each; drift is measured on
            these.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    phash: int
    thumbnail: bytes


class Cut(NamedTuple):
    """An image as it will be stored, not yet judged.

    Attributes:
        image: image_size x image_size, L or RGB as the configuration wants it.
        size: width and height of the upright source, pixels.
    """

    image: Image.Image
    size: tuple[int, int]


class Prepared(NamedTuple):
    """An image as it will be stored: pixels uint8 (image_size, image_size, channels), and its measures."""

    pixels: Pixels
    measures: Measures


def prepare_image(
    data: bytes | Pixels, config: IngestConfig, box: Box | None = None, landmarks: Landmarks | None = None
) -> Prepared:
    """Decodes, turns upright, crops, resizes, converts, measures and judges one image: `measured(cut_out(...))`."""
    return measured(cut_out(data, config, box, landmarks), config)


def cut_out(
    data: bytes | Pixels, config: IngestConfig, box: Box | None = None, landmarks: Landmarks | None = None
) -> Cut:
    """Decodes, turns upright, crops, resizes and converts one image. Safe in threads and processes.

    Args:
        data: a file's bytes, or pixels uint8 (H, W, 3).
        config: size, channels, crop and limits.
        box: x, y, width, height of the face in pixels of the upright source, for `crop=box`.
        landmarks: (x, y) of eyes, nose and corners of the mouth, likewise, for `crop=landmarks`.

    Raises:
        RejectedError: not an image, damaged, too large or too small (`gates`), or nothing to crop to.
    """
    if not isinstance(data, bytes):
        image = Image.fromarray(data)
        return _cut(image, image.size, _kept(image.size, config, box, landmarks), config)
    if size := plain_jpeg(data):
        kept = _kept(size, config, box, landmarks)
        whole = whole_jpeg(data) if 4 * _scale(size, kept, config) > 1 else None  # much larger ones decode smaller
        if whole is not None:
            return _cut(whole, size, kept, config)
    with opened(data) as file:
        size = upright_size(file)
        kept = _kept(size, config, box, landmarks)
        return _cut(upright(file, _scale(size, kept, config)), size, kept, config)


def measured(cut: Cut, config: IngestConfig) -> Prepared:
    """Measures an image and judges it by its looks.

    Raises:
        RejectedError: blurred or uniform beyond the limits (`gates`).
    """
    measures = _measure(*cut)
    quality.check_look(measures.contrast, measures.sharpness, config)
    return Prepared(np.atleast_3d(np.asarray(cut.image)), measures)


def _scale(size: tuple[int, int], kept: Region | None, config: IngestConfig) -> float:
    return config.image_size / (kept.edge if kept else min(size) * SMALLEST_FACE)


def _kept(size: tuple[int, int], config: IngestConfig, box: Box | None, landmarks: Landmarks | None) -> Region | None:
    """What can be refused or decided before the pixels are decoded."""
    quality.check_source(size, config)
    kept = region(size, config, box, landmarks)
    if kept is not None:
        quality.check_edge(kept.edge, config)
    return kept


def _cut(image: Image.Image, size: tuple[int, int], kept: Region | None, config: IngestConfig) -> Cut:
    """`image` is upright, L or RGB, and may be smaller than the source, whose `size` is given."""
    scale = image.width / size[0]
    if kept is None:
        kept = around(find_face(image), image.size, config.crop_margin)
        quality.check_edge(kept.edge / scale, config)
    else:
        kept = kept.scaled(scale)
    mode = _MODES[config.channels]
    image = image if image.mode == mode else image.convert(mode)
    return Cut(resized(image, kept, config.image_size), size)


def _measure(image: Image.Image, size: tuple[int, int]) -> Measures:
    """All sums are whole numbers below 2**53: exact, whatever their order."""
    import cv2

    grey = np.asarray(image.convert("L"))  # ITU-R 601-2 luma, rounded
    edges = cv2.Laplacian(grey, cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    levels = grey.astype(np.float64)
    mean, variance = _moments(levels)
    return Measures(
        width=size[0],
        height=size[1],
        brightness=mean / 255,
        contrast=variance**0.5 / 255,
        sharpness=_moments(edges.astype(np.float64))[1],
        phash=perceptual_hash(levels),
        thumbnail=image.reduce(image.width // THUMBNAIL).tobytes(),
    )


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and variance of whole numbers."""
    flat = values.ravel()
    count, total, squares = flat.size, int(flat.sum()), int(flat @ flat)
    return total / count, (squares * count - total * total) / count**2
