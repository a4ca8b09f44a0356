"""Perceptual hashes: 64 bits that hardly change when an image is resized, compressed or brightened.

The DCT hash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): the image as
32 x 32 grey levels, its 8 x 8 lowest frequencies, and one bit for each: above or below their median.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_EDGE, _FREQUENCIES = 32, 8


def perceptual_hashes(grey: NDArray[np.float64]) -> list[int]:
    """The 64-bit hash, 0 <= hash < 2**64, of each of N images of integer grey levels 0..255 (N, S, S), S = 32 k.

    All sums are integers below 2**53, so the hash is the same on every machine.
    """
    count, edge = grey.shape[:2]
    cosines = _cosines(edge)
    rows = (grey.reshape(count * edge, edge) @ cosines.T).reshape(count, edge, _FREQUENCIES)
    coefficients = (cosines @ rows).reshape(count, -1)
    ordered = np.sort(coefficients, axis=1)
    bits = 2 * coefficients > ordered[:, 31:32] + ordered[:, 32:33]
    hashes: list[int] = np.packbits(bits, axis=1).view(">u8")[:, 0].tolist()
    return hashes


@cache
def _cosines(edge: int) -> NDArray[np.float64]:
    """The lowest DCT-II frequencies over 32 pixels, times 4096 and rounded, each repeated to `edge` pixels: (8, edge).

    Repeating the columns averages blocks of pixels and transforms them in one matrix product.
    """
    angles = np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_EDGE) + 1) * np.pi / (2 * _EDGE)
    return np.repeat(np.rint(4096 * np.cos(angles)), edge // _EDGE, axis=1)
