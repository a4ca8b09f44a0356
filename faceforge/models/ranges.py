"""Conversion between the networks' pixel range [-1, 1] and uint8 images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def from_uint8(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 [0, 255] -> float32 [-1, 1]."""
    return images.astype(np.float32) / 127.5 - 1.0


def to_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Float [-1, 1] -> uint8 [0, 255], rounded, out-of-range values clipped."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)
