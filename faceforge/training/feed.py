"""The source of training batches: images in GPU memory or main memory if they fit, else streamed from Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceforge.compute.memory import total_memory
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.stream import Stream
from faceforge.data.pixels import Pixels
from faceforge.training.batches import Batches

SHARE_OF_MEMORY = 0.5  # of the machine or container; the rest is for everything else
SHARE_OF_DEVICE = 0.25


class Feed(Protocol):
    """Batches of training images.

    Attributes:
        codes: class codes of all images, int32 (N, columns).
        resident: `images` and `labels` of the whole set, to be kept on the device; empty if they do not fit.
    """

    codes: NDArray[np.int32]
    resident: dict[str, NDArray[Any]]

    @property
    def waited(self) -> float:
        """Seconds that training has waited for images to be decoded."""

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """The batch of a step, which depends on the step's number alone.

        `images` uint8 (B, H, W, C) and `labels` int32 (B, columns); for a resident set its row numbers instead, `rows`
        int32 (B,).
        """

    def close(self) -> None:
        """Stops reading ahead and frees resources."""


class InMemory:
    """All images decoded in memory; every epoch has an order of its own."""

    def __init__(
        self, images: Pixels, codes: NDArray[np.int32], batch_size: int, seed: int, resident: bool = False
    ) -> None:
        self.codes, self.waited = codes, 0.0
        self.resident: dict[str, NDArray[Any]] = {"images": images, "labels": codes} if resident else {}
        self._images = images
        self._batches = Batches(len(images), batch_size, latent_size=0, seed=seed)

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """See `Feed.batch`."""
        return self.take(self._batches.indices(step))

    def take(self, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The chosen images and labels, in the form of `Feed.batch`."""
        if self.resident:
            return {"rows": chosen.astype(np.int32)}
        return {"images": self._images[chosen], "labels": self.codes[chosen]}

    def close(self) -> None:
        """See `Feed.close`."""


class Streamed:
    """Images decoded from Parquet ahead of the steps; see `faceforge.data.imageset.stream.Stream`."""

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
    """The feed of the train split, and a description of where its images are kept.

    Images stay on the GPU if they take at most a quarter of `device_memory` (bytes), else in memory if they take at
    most half of the machine's or container's total. Total rather than free memory decides, so that a resumed run gets
    the same batches.
    """
    info = images.info
    size = info.counts["train"].total * info.image_size**2 * info.channels
    room = total_memory() * SHARE_OF_MEMORY
    if size > room:
        location = f"streamed from Parquet ({size / 2**30:,.2f} GiB, room for {room / 2**30:,.1f})"
        return Streamed(Stream(images, "train", labels, batch_size, seed)), location
    resident = 0 < size <= device_memory * SHARE_OF_DEVICE
    feed = InMemory(*images.load("train", labels), batch_size, seed, resident)
    location, room = ("on the GPU", device_memory * SHARE_OF_DEVICE) if resident else ("in memory", room)
    return feed, f"{location} ({size / 2**30:,.2f} GiB, room for {room / 2**30:,.1f})"
