"""Hand-designed image features; nothing in them is trained, so they favour no image set, split or label.

Three well-known descriptors are concatenated: histograms of oriented gradients (Dalal & Triggs 2005) for layout, coarse
colour, and the spectrum of 8 x 8 blocks for texture, in which generated images often differ from real ones (Durall et
al. 2020). A linear classifier on them separates smiling from neutral and sharp from soft faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EDGE, _CELL = 32, 8  # pixels: image and cell size of the gradient histograms
_GRID = 8  # colour is averaged over a grid of 8 x 8 areas
_BLOCK = 8
_VISIBLE = 8.0  # grey levels: weaker waves hardly count, else tiny noise in flat areas would dominate
_CHUNK = 256  # images at a time


def pixel_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features float32 (N, 324 + 192 C) of images uint8 (N, S, S, C), N >= 1, S >= 8, C 1 or 3."""
    parts = [images[at : at + _CHUNK] for at in range(0, len(images), _CHUNK)]
    return np.concatenate([np.hstack([_gradients(part), _colour(part), _texture(part)]) for part in parts])


def coarse_pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels in [0, 1] of images averaged down to at most 16 px, float32 (N, D).

    Used for classifiers of labels, which would otherwise use the texture that separates samples from real images.
    """
    return thumbnails(images, 16).reshape(len(images), -1).astype(np.float32) / np.float32(255)


def thumbnails(images: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Images uint8 (N, S, S, C) averaged down to at most `edge` pixels, uint8 (N, E, E, C)."""
    import cv2

    if images.shape[1] <= edge:
        return images
    small = [cv2.resize(image, (edge, edge), interpolation=cv2.INTER_AREA) for image in images]
    return np.array(small, np.uint8).reshape(-1, edge, edge, images.shape[-1])


def _gradients(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of 9 orientations in 4 x 4 cells, normalised in blocks of 2 x 2 cells: (N, 324)."""
    import cv2

    block, cell = (2 * _CELL, 2 * _CELL), (_CELL, _CELL)
    describe = cv2.HOGDescriptor((_EDGE, _EDGE), block, cell, cell, 9).compute
    resized = [cv2.resize(image, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA) for image in images]
    return np.array([np.ravel(describe(image)) for image in resized], np.float32).reshape(len(images), 324)


def _colour(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean colour of 8 x 8 areas in [0, 1]: (N, 64 C)."""
    return thumbnails(images, _GRID).reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _texture(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and spread, over all 8 x 8 blocks, of the log magnitudes of their cosine waves: (N, 128 C)."""
    count, size, _, channels = images.shape
    blocks = size // _BLOCK
    whole = images[:, : blocks * _BLOCK, : blocks * _BLOCK].astype(np.float32)
    parts = whole.reshape(count, blocks, _BLOCK, blocks, _BLOCK, channels).transpose(0, 5, 1, 3, 2, 4)
    waves = parts.reshape(count, channels, blocks**2, _BLOCK**2) @ _cosines()
    sizes = np.log1p(np.abs(waves) / _VISIBLE)
    return np.concatenate([sizes.mean(axis=2), sizes.std(axis=2)], axis=-1).reshape(count, -1)


def _cosines() -> NDArray[np.float32]:
    """The two-dimensional orthonormal discrete cosine transform of a flattened block, (64, 64)."""
    k = np.arange(_BLOCK)
    rows = np.sqrt(2 / _BLOCK) * np.cos(np.pi * k[:, None] * (k + 0.5) / _BLOCK)
    rows[0] /= np.sqrt(2)
    return np.kron(rows, rows).T.astype(np.float32)
