"""Where training gets its images from: the GPU's memory or the machine's where they fit, else Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.stream import Stream
from faceforge.data.pixels import Pixels
from faceforge.training.batches import Batches

SHARE_OF_MEMORY = 0.5  # the rest is for the networks and everything else
SHARE_OF_DEVICE = 0.25
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Feed(Protocol):
    """What training reads.

    Attributes:
        codes: classes of all images, int32 (N, columns).
        resident: `images` and `labels` of the whole set, to be kept where the networks are; empty if they do not fit.
    """

    codes: NDArray[np.int32]
    resident: dict[str, NDArray[Any]]

    @property
    def waited(self) -> float:
        """Seconds that steps have waited for images to be decoded."""

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """`images` uint8 (B, H, W, C) and `labels` int32 (B, columns) of a step, a function of its number.

        With a resident set, its rows in it: `rows` int32 (B,).
        """

    def close(self) -> None:
        """No more batches are wanted."""


class InMemory:
    """All images decoded, shuffled anew for every epoch."""

    def __init__(
        self, images: Pixels, codes: NDArray[np.int32], batch_size: int, seed: int, resident: bool = False
    ) -> None:
        self.codes, self.waited = codes, 0.0
        self.resident: dict[str, NDArray[Any]] = {"images": images, "labels": codes} if resident else {}
        self._images = images
        self._batches = Batches(len(images), batch_size, latent_size=0, seed=seed)

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """See `Feed.batch`."""
        chosen = self._batches.indices(step)
        if self.resident:
            return {"rows": chosen.astype(np.int32)}
        return {"images": self._images[chosen], "labels": self.codes[chosen]}

    def close(self) -> None:
        """See `Feed.close`."""


class Streamed:
    """Decoded from Parquet ahead of the steps; see `faceforge.data.imageset.stream.Stream`."""

    def __init__(self, stream: Stream) -> None:
        self.codes, self._stream = stream.codes, stream
        self.resident: dict[str, NDArray[Any]] = {}

    @property
    def waited(self) -> float:
        """See `Feed`."""
        return self._stream.waited

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """See `Feed.batch`."""
        images, codes = self._stream.batch(step)
        return {"images": images, "labels": codes}

    def close(self) -> None:
        """See `Feed.close`."""
        self._stream.close()


def open_feed(
    images: ImageSet, labels: Sequence[str], batch_size: int, seed: int, device_memory: int = 0
) -> tuple[Feed, str]:
    """The feed of the train split, and where its images are, in words.

    They are held in memory if they take up to half of what this machine, or its container, has in all: not of what
    happens to be free, so that a run that is continued goes on with the same batches. `device_memory` is what a GPU
    has, bytes; up to a quarter of it they are kept there.
    """
    info = images.info
    size = info.counts["train"].total * info.image_size**2 * info.channels
    room = total_memory() * SHARE_OF_MEMORY
    if size > room:
        words = f"streamed from Parquet ({size / 2**30:,.2f} GiB, room for {room / 2**30:,.1f})"
        return Streamed(Stream(images, "train", labels, batch_size, seed)), words
    resident = 0 < size <= device_memory * SHARE_OF_DEVICE
    feed = InMemory(*images.load("train", labels), batch_size, seed, resident)
    where, has = ("on the GPU", device_memory * SHARE_OF_DEVICE) if resident else ("in memory", room)
    return feed, f"{where} ({size / 2**30:,.2f} GiB, room for {has / 2**30:,.1f})"


def total_memory() -> int:
    """Bytes of memory of this machine, or of its container if that has less."""
    found = [psutil.virtual_memory().total]
    for file in _CGROUP_LIMITS:
        try:
            found.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such limit
            continue
    return min(found)
