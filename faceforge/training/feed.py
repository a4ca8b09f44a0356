"""Where training gets its images from: memory where they fit, else Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from faceforge.data.imageset import ImageSet
from faceforge.data.pixels import Pixels
from faceforge.data.stream import Stream
from faceforge.training.batches import Batches

SHARE_OF_MEMORY = 0.5  # the rest is for the networks and everything else
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Feed(Protocol):
    """What training reads.

    Attributes:
        codes: classes of all images, int32 (N, columns).
        waited: seconds that steps have waited for images to be decoded.
    """

    codes: NDArray[np.int32]
    waited: float

    def batch(self, step: int) -> tuple[Pixels, NDArray[np.int32]]:
        """Images uint8 (B, H, W, C) and codes int32 (B, columns) of a step: a function of its number."""

    def close(self) -> None:
        """No more batches are wanted."""


class InMemory:
    """All images decoded, shuffled anew for every epoch."""

    def __init__(self, images: Pixels, codes: NDArray[np.int32], batch_size: int, seed: int) -> None:
        self.codes, self.waited = codes, 0.0
        self._images = images
        self._batches = Batches(len(images), batch_size, latent_size=0, seed=seed)

    def batch(self, step: int) -> tuple[Pixels, NDArray[np.int32]]:
        """See `Feed.batch`."""
        chosen = self._batches.indices(step)
        return self._images[chosen], self.codes[chosen]

    def close(self) -> None:
        """See `Feed.close`."""


def open_feed(images: ImageSet, labels: Sequence[str], batch_size: int, seed: int) -> tuple[Feed, str]:
    """The feed of the train split, and where its images are, in words.

    They are held in memory if they take up to half of what this machine, or its container, has in all: not of what
    happens to be free, so that a run that is continued goes on with the same batches.
    """
    info = images.info
    size = info.counts["train"].total * info.image_size**2 * info.channels
    room = total_memory() * SHARE_OF_MEMORY
    facts = f"{size / 2**30:,.2f} GiB, room for {room / 2**30:,.1f}"
    if size <= room:
        return InMemory(*images.load("train", labels), batch_size, seed), f"in memory ({facts})"
    return Stream(images, "train", labels, batch_size, seed), f"streamed from Parquet ({facts})"


def total_memory() -> int:
    """Bytes of memory of this machine, or of its container if that has less."""
    found = [psutil.virtual_memory().total]
    for file in _CGROUP_LIMITS:
        try:
            found.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such limit
            continue
    return min(found)
