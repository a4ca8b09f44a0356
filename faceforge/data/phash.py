"""Perceptual hashes: 64 bits that hardly change when a picture is resized, compressed or brightened.

The DCT hash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): of the picture as
32 x 32 grey levels, the 8 x 8 lowest frequencies, each one bit: above or below their median.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

EDGE = 32  # of the grey picture that is hashed
_FREQUENCIES = 8


def perceptual_hash(grey: Image.Image) -> int:
    """The 64-bit hash, 0 <= hash < 2**64, of an L image of 32 x 32; whole-number arithmetic, equal on every machine."""
    pixels = np.asarray(grey, np.int64)
    low = _COSINES @ pixels @ _COSINES.T
    ordered = np.sort(low, axis=None)
    bits = 2 * low > ordered[31] + ordered[32]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _cosines() -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows: the lowest DCT-II frequencies over 32 pixels, times 4096, as whole numbers."""
    angles = np.outer(np.arange(_FREQUENCIES), 2 * np.arange(EDGE) + 1) * np.pi / (2 * EDGE)
    return np.rint(4096 * np.cos(angles)).astype(np.int64)


_COSINES = _cosines()
