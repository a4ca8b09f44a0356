"""Perceptual hashes: 64 bits that hardly change when an image is resized, compressed or brightened.

The DCT hash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): the image as
32 x 32 grey levels, its 8 x 8 lowest frequencies, and one bit for each: above or below their median.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_EDGE, _FREQUENCIES = 32, 8


def perceptual_hash(grey: NDArray[np.float64]) -> int:
    """The 64-bit hash, 0 <= hash < 2**64, of integer grey levels 0..255 (S, S), S a multiple of 32.

    All sums are integers below 2**53, so the hash is the same on every machine.
    """
    cosines = _cosines(len(grey))
    coefficients = cosines @ grey @ cosines.T
    ordered = np.sort(coefficients, axis=None)
    bits = 2 * coefficients > ordered[31] + ordered[32]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@cache
def _cosines(edge: int) -> NDArray[np.float64]:
    """The lowest DCT-II frequencies over 32 pixels, times 4096 and rounded, each repeated to `edge` pixels: (8, edge).

    Repeating the columns averages blocks of pixels and transforms them in one matrix product.
    """
    angles = np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_EDGE) + 1) * np.pi / (2 * _EDGE)
    return np.repeat(np.rint(4096 * np.cos(angles)), edge // _EDGE, axis=1)
