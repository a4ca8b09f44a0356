"""Which images are held out: a function of what they are, not of the set they are in."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def held_out(words: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Whether digests, read as numbers in 0..1, are below the share of the holdout; bool (N,).

    Args:
        words: the first eight bytes of each digest as a number, uint64 (N,): of the pixels, or, for images of a group,
            `group_word`.
        share: of the holdout, 0..0.5; with groups, it is groups that are chosen, so their sizes make it vary.
    """
    return words < np.uint64(share * 2**64)


def group_word(group: str) -> int:
    """What decides for all images of a group, an identity: they fall on one side, and stay there when more come."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8])
