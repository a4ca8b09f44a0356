"""Measures prepared images: brightness, contrast, sharpness, a perceptual hash and a thumbnail.

Images are measured many at a time, because for small ones calling a function takes longer than what it computes. All
sums are integers below 2**53, so they are exact in float64 whatever their order, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.phash import perceptual_hashes

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
            drift.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    phash: int
    thumbnail: bytes


def measure(pixels: Pixels, source_sizes: Sequence[tuple[int, int]]) -> list[Measures]:
    """Measures N prepared images.

    Args:
        pixels: uint8 (N, S, S, C), C = 1 or 3, S a multiple of 32.
        source_sizes: width and height of the upright source of each.
    """
    import cv2

    count, edge = pixels.shape[:2]
    column = Image.fromarray(pixels.reshape(count * edge, edge, -1).squeeze(-1 if pixels.shape[-1] == 1 else ()))
    luma = np.asarray(column.convert("L"))  # ITU-R 601-2, rounded
    laplacian = cv2.Laplacian(luma, cv2.CV_16S, ksize=1).reshape(count, edge, edge)[:, 1:-1, 1:-1]
    grey = luma.reshape(count, edge, edge).astype(np.float64)
    thumbnails = np.asarray(column.reduce(edge // THUMBNAIL_EDGE)).reshape(count, -1)
    return [
        Measures(*size, mean / 255, variance**0.5 / 255, sharpness, phash, thumbnail.tobytes())
        for size, (mean, variance), (_, sharpness), phash, thumbnail in zip(
            source_sizes,
            _means_and_variances(grey),
            _means_and_variances(laplacian.astype(np.float64)),
            perceptual_hashes(grey),
            thumbnails,
            strict=True,
        )
    ]


def _means_and_variances(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Of integers in float64, (N, H, W); the mean and the variance of each (H, W)."""
    flat = values.reshape(len(values), -1)
    count = flat.shape[1]
    totals, squares = flat.sum(1).tolist(), np.einsum("ij,ij->i", flat, flat).tolist()
    return [
        (total / count, (int(square) * count - int(total) ** 2) / count**2)
        for total, square in zip(totals, squares, strict=True)
    ]
