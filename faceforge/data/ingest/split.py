"""Chooses the holdout by the content of each image or group, so that the choice does not depend on the other images."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

MIN_IMAGES = 64  # that evaluation needs in each split, to compare generated with held-out and training images


def in_holdout(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Whether each key, read as a fraction of 2**64, lies below the holdout's share; bool (N,).

    Args:
        keys: uint64 (N,): the first eight bytes of the digest of an image's pixels, or `group_key` for grouped images.
        share: of the holdout, 0..1. It is a share of keys, so with large groups the share of images varies.
    """
    return keys < np.uint64(share * 2**64)


def sufficient_share(keys: NDArray[np.uint64], share: float) -> float:
    """The share of the holdout that gives both splits `MIN_IMAGES`, if there are enough images, else one image.

    A set that grows later needs a smaller share again. Its holdout then keeps a part of the earlier one, so a model
    that was trained before has seen nothing of it.

    Args:
        keys: as for `in_holdout`, of all distinct images.
        share: the smallest share of images to hold out.
    """
    needed = MIN_IMAGES if len(keys) >= 2 * MIN_IMAGES else 1
    if len(keys) < 2 or in_holdout(keys, share).sum() >= needed:
        return share
    last = np.sort(keys)[needed - 1]  # images with an equal key, of one group, stay together
    enlarged = np.nextafter(float(last) / 2**64, 1)
    while not in_holdout(last[None], enlarged)[0]:  # float64 has fewer digits than the key
        enlarged = np.nextafter(enlarged, 1)
    return float(enlarged)


def group_key(group: str) -> int:
    """The key shared by all images of a group (an identity), so that they stay on one side when the set grows."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8])
