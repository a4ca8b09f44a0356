"""Which side of the split an image falls on: a function of what it is, not of the set it is in."""

from __future__ import annotations

import hashlib

from faceforge.data.info import Split


def holdout_side(sha256: str, share: float, group: str = "") -> Split:
    """`holdout` where a digest, read as a number in 0..1, is below the share; else `train`.

    Args:
        sha256: of the pixels; decides for images without a group.
        share: of the holdout; with groups, it is groups that are chosen, so their sizes make it vary.
        group: the identity shown. It alone decides, so that all images of one person fall on one side, and stay there
            when more of them come.
    """
    digest = hashlib.sha256(group.encode()).hexdigest() if group else sha256
    return "holdout" if int(digest[:16], 16) < share * 2**64 else "train"
