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


def tensor_to_uint8(images: Any) -> Any:
    """`to_uint8` of a tensor, computed where the tensor is.

    On a GPU the copy to the host is then a quarter as large, and four passes over the pixels by one core are saved,
    which take longer than the network itself.
    """
    from keras import ops

    return ops.cast(ops.clip(ops.round((images + 1.0) * 127.5), 0, 255), "uint8")


def with_uint8_output(generator: keras.Model) -> keras.Model:
    """The generator with uint8 images as outputs, rounded by `tensor_to_uint8`."""
    import keras

    return keras.Model(generator.inputs, tensor_to_uint8(generator.output), name="uint8_generator")
