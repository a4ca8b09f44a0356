"""Conversion between the networks' pixel range [-1, 1] and uint8 images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


def from_uint8(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 [0, 255] -> float32 [-1, 1]."""
    return images.astype(np.float32) / 127.5 - 1.0


def to_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Float [-1, 1] -> uint8 [0, 255], rounded, out-of-range values clipped."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)


def with_uint8_output(generator: keras.Model) -> keras.Model:
    """The generator with uint8 images as outputs, by the arithmetic of `to_uint8`.

    The conversion runs where the network runs. On a GPU the copy to the host is then a quarter as large, and four
    passes over the pixels by one core are saved, which take longer than the network itself.
    """
    import keras
    from keras import ops

    pixels = ops.clip(ops.round((generator.output + 1.0) * 127.5), 0, 255)
    return keras.Model(generator.inputs, ops.cast(pixels, "uint8"), name="uint8_generator")
