"""Reduces images: the same pixels as Pillow's `resize` with the Hamming filter, in two thirds of its time.

Each output pixel is a weighted mean of neighbouring input pixels, first along rows, then along columns. Pillow sums
integers: pixels times weights in units of 2**-22. Here the sums are products of matrices in float64. It holds them
exactly (8 + 22 bits and a few for carrying), so they depend neither on the order of addition nor on the machine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels

_UNIT = 2.0**-22
_OUTPUTS = 8  # that one product of matrices makes: with fewer, products are small; with more, weights are mostly zero
_A, _B = (float(np.float32(value)) for value in (0.54, 0.46))  # of Hamming's window; Pillow has them in float32


class _Band(NamedTuple):
    """Neighbouring output pixels, and the weights (outputs, inputs) with which input pixels add up to them."""

    outputs: slice
    inputs: slice
    weights: NDArray[np.float64]


def reduce_image(pixels: Pixels, box: tuple[float, float, float, float], size: int) -> Pixels:
    """Resizes a part of an image, as `Image.resize((size, size), Resampling.HAMMING, box=box)` does.

    Pillow may reduce the columns of an upright format first; rounding then differs by one level in some pixels.

    Args:
        pixels: uint8 (H, W) or (H, W, 3).
        box: left, top, right and lower edge of the part, inside the image, in pixels.
        size: edge of the result, at most that of the part.

    Returns:
        uint8 (size, size) or (size, size, 3).
    """
    import cv2

    columns = _bands(pixels.shape[1], box[0], box[2], size)
    rows = _bands(pixels.shape[0], box[1], box[3], size)
    top, left = rows[0].inputs.start, columns[0].inputs.start
    used = pixels[top : rows[-1].inputs.stop, left : columns[-1].inputs.stop]
    narrow = cv2.transpose(_means(cv2.transpose(used), columns, left))
    return _means(narrow, rows, top)


def _means(pixels: NDArray[np.generic], bands: list[_Band], first: int) -> Pixels:
    """Weighted means along the first axis; `first` is the number of the first pixel along it."""
    values = pixels.reshape(len(pixels), -1).astype(np.float64)
    means = np.empty((bands[-1].outputs.stop, values.shape[1]))
    for outputs, inputs, weights in bands:
        np.matmul(weights, values[inputs.start - first : inputs.stop - first], out=means[outputs])
    means += 0.5
    return means.astype(np.uint8).reshape(-1, *pixels.shape[1:])


@lru_cache(maxsize=64)
def _bands(length: int, start: float, stop: float, size: int) -> list[_Band]:
    """The weights of `size` output pixels that cover the input pixels from `start` to `stop` of `length`."""
    begin, extent = float(np.float32(start)), float(np.float32(stop) - np.float32(start))  # as in Pillow
    scale = extent / size
    reach = max(scale, 1.0)
    centres = begin + (np.arange(size) + 0.5) * scale
    first = np.maximum((centres - reach + 0.5).astype(int), 0)
    last = np.minimum((centres + reach + 0.5).astype(int), length)
    places = first[:, None] + np.arange((last - first).max())
    distances = np.abs((places - centres[:, None] + 0.5) * (1 / reach))
    angles = np.maximum(distances, 1e-9) * np.pi  # the sine of a tiny angle is the angle
    weights = np.sin(angles) / angles * (_A + _B * np.cos(angles))
    weights[(distances >= 1) | (places >= last[:, None])] = 0
    weights = np.floor(weights / weights.sum(1, keepdims=True) / _UNIT + 0.5) * _UNIT
    matrix = np.zeros((size, int(places.max()) + 1 - first[0]))
    np.put_along_axis(matrix, places - first[0], weights, 1)
    bands = []
    for row in range(0, size, _OUTPUTS):
        inputs = slice(int(first[row]), int(last[row + _OUTPUTS - 1]))
        part = matrix[row : row + _OUTPUTS, inputs.start - first[0] : inputs.stop - first[0]]
        bands.append(_Band(slice(row, row + _OUTPUTS), inputs, part))
    return bands
