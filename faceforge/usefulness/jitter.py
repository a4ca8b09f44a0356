"""Mild random jitter of batches: the usual augmentation of classifiers, which needs no generative model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHIFT, ZOOM, TURN = 0.04, 0.04, 5.0  # share of the edge, share of the size, degrees
BRIGHTNESS, CONTRAST = 0.08, 0.12  # share of the value range, share of the contrast


def jitter_batch(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shifts, zooms, rotates, brightens and changes the contrast of images uint8 (N, S, S, C), each by random amounts.

    Borders are filled by reflection. The amounts are uniform between plus and minus the constants of this module.
    """
    import cv2

    size = images.shape[1]
    shift = rng.uniform(-SHIFT, SHIFT, (len(images), 2)) * size
    zoom, turn = 1 + rng.uniform(-ZOOM, ZOOM, len(images)), rng.uniform(-TURN, TURN, len(images))
    moved = np.empty_like(images)
    for place, image in enumerate(images):
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn[place], zoom[place])
        matrix[:, 2] += shift[place]
        warped = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        moved[place] = warped.reshape(image.shape)  # OpenCV drops a single channel
    values = moved.astype(np.float32)
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    contrast = 1 + rng.uniform(-CONTRAST, CONTRAST, (len(images), 1, 1, 1)).astype(np.float32)
    brightness = 255 * rng.uniform(-BRIGHTNESS, BRIGHTNESS, (len(images), 1, 1, 1)).astype(np.float32)
    return np.clip((values - mean) * contrast + mean + brightness + 0.5, 0, 255).astype(np.uint8)
