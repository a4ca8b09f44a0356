"""Pretext tasks for images without labels: predict which fixed transformations were applied to an image.

A network trained on them has features in which distances can be measured (Gidaris et al. (2018), "Unsupervised
representation learning by predicting image rotations"). Predicting the rotation takes the layout of a face, predicting
the colour shuffle its palette, predicting the loss of detail its sharpness.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def pretext_tasks(channels: int) -> Mapping[str, int]:
    """Task name -> number of classes, for images of 1 or 3 channels."""
    return {"rotation": 4, "colour": 3 if channels == 3 else 2, "detail": 2}


def transform(images: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Applies one random transformation of every task to each image.

    Args:
        images: uint8 (N, S, S, C), square, S even.
        seed: random seed of the choices.

    Returns:
        Transformed images, uint8 of the same shape, and the codes of the transformations, int32 (N, tasks).
    """
    rng = np.random.default_rng(seed)
    channels = images.shape[-1]
    chosen = np.stack([rng.integers(0, n, len(images)) for n in pretext_tasks(channels).values()], axis=1)
    turned = images.copy()
    for quarter in range(1, 4):
        rows = chosen[:, 0] == quarter
        turned[rows] = np.rot90(turned[rows], quarter, axes=(1, 2))
    if channels == 3:
        for shift in range(1, 3):
            rows = chosen[:, 1] == shift
            turned[rows] = np.roll(turned[rows], shift, axis=-1)
    else:
        turned[chosen[:, 1] == 1] = 255 - turned[chosen[:, 1] == 1]
    rows = chosen[:, 2] == 1
    turned[rows] = _coarse(turned[rows])
    return turned, chosen.astype(np.int32)


def _coarse(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images reduced to half their resolution and enlarged again by repeating pixels."""
    count, size, _, channels = images.shape
    blocks = images.reshape(count, size // 2, 2, size // 2, 2, channels).mean(axis=(2, 4))
    return np.rint(blocks).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
