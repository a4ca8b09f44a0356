"""Bilinear resizing as in TensorFlow 1, by which FID is defined: source coordinate = target coordinate * in / out.

Position `i` of the result is read at `i * in / out` (no half-pixel centres), between its two neighbours, also when
shrinking (nothing is averaged: images much larger than the result alias, here as in the original).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def resize_tf1(images: Any, size: int, take: Any = np.take) -> Any:
    """Resizes images to `size` x `size`.

    Args:
        images: float32 (..., H, W, C), or a tensor of a backend.
        size: edge of the result.
        take: the `take(array, indices, axis=)` of that backend, `keras.ops.take` for instance.

    Returns:
        float32 (..., size, size, C), in the range of the input; not rounded.
    """
    height, width = images.shape[-3:-1]
    if width != size:
        lower, upper, share = taps(width, size)
        left = take(images, lower, axis=-2)
        images = left + (take(images, upper, axis=-2) - left) * share[:, None]
    if height != size:
        lower, upper, share = taps(height, size)
        top = take(images, lower, axis=-3)
        images = top + (take(images, upper, axis=-3) - top) * share[:, None, None]
    return images


def taps(length: int, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """For each of `size` target positions: its two neighbours among `length` and the weight of the second, float32."""
    place = np.arange(size, dtype=np.float32) * (np.float32(length) / np.float32(size))
    lower = place.astype(np.int32)
    return lower, np.minimum(lower + 1, length - 1), place - lower.astype(np.float32)
