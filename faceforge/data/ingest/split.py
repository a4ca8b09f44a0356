"""Chooses the holdout by the content of each image or group, so that the choice does not depend on the other images."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def in_holdout(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Whether each key, read as a fraction of 2**64, lies below the holdout's share; bool (N,).

    Args:
        keys: uint64 (N,): the first eight bytes of the digest of an image's pixels, or `group_key` for grouped images.
        share: of the holdout, 0..0.5. It is a share of keys, so with large groups the share of images varies.
    """
    return keys < np.uint64(share * 2**64)


def group_key(group: str) -> int:
    """The key shared by all images of a group (an identity), so that they stay on one side when the set grows."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8])
