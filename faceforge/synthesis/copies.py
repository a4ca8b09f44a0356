"""Distance of images to the nearest training image, by thumbnails, mirrored or not: finds near copies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet, Split
from faceforge.data.pixels import from_bytes, map_ordered

SIDE = 16  # pixels per edge of a thumbnail; averaging removes detail in which any two pictures differ
_CHUNK = 8192  # training images compared at a time


def thumbnails(images: NDArray[np.uint8] | ImageSet, split: Split = "train") -> NDArray[np.uint8]:
    """Thumbnails uint8 (N, D) of images uint8 (N, H, W, C) or of a split of an image set, read as a stream."""
    if isinstance(images, ImageSet):
        parts = [_shrink(batch) for batch in _batches(images, split)]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.uint8)
    return _shrink(images)


def nearest_distance(images: NDArray[np.uint8], train: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Root mean square difference (0..255) between each thumbnail and the nearest training one or its mirror image.

    Args:
        images: thumbnails uint8 (N, D).
        train: thumbnails uint8 (M, D), M at least 1.

    Returns:
        float32 (N,).
    """
    size = images.shape[1]
    mirrored = images.reshape(len(images), SIDE, SIDE, -1)[:, :, ::-1].reshape(len(images), size)
    both = np.concatenate([images, mirrored]).astype(np.float32) - 127.5
    own = (both**2).sum(1)
    nearest = np.full(len(both), np.inf, np.float32)
    for start in range(0, len(train), _CHUNK):
        part = train[start : start + _CHUNK].astype(np.float32) - 127.5
        squared = own[:, None] + (part**2).sum(1) - 2 * both @ part.T
        nearest = np.minimum(nearest, squared.min(axis=1))
    best = np.minimum(*nearest.reshape(2, -1)) if len(images) else nearest
    return np.sqrt(np.maximum(best, 0) / size).astype(np.float32)


def _shrink(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Block means; images are square and a multiple of `SIDE` pixels wide."""
    count, edge, _, channels = images.shape
    block = edge // SIDE
    means = images.reshape(count, SIDE, block, SIDE, block, channels).mean(axis=(2, 4), dtype=np.float32)
    return np.rint(means).astype(np.uint8).reshape(count, -1)


def _batches(images: ImageSet, split: Split) -> Iterator[NDArray[np.uint8]]:
    decoded = map_ordered(lambda record: from_bytes(record.image, images.info.channels), images.records(split))
    while batch := list(islice(decoded, 1024)):
        yield np.stack(batch)
