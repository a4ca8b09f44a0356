"""The interface of all sources: `Source` and the `Sample`s that it yields."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Pixels


@dataclass(frozen=True)
class InMemory:
    """A `Sample.read` whose content is in memory already."""

    content: bytes | Pixels

    def __call__(self) -> bytes | Pixels:
        """The content."""
        return self.content


@dataclass(frozen=True)
class Sample:
    """One image of a source.

    Attributes:
        path: its path relative to the source, as printable text.
        read: returns the file's bytes, or pixels uint8 (H, W, 3); may raise OSError. It is small, can be pickled, and
            may be called in another thread or process.
        labels: label column -> class, or None where the source has no value.
        problem: why it cannot be used, if that is known before reading; '' otherwise.
        absent: an official list names the image but the source does not contain it. Such rejects do not count against
            `ingest.max_rejects`, because using a part of an official data set is allowed.
        split: its official split, if the source has official splits.
        group: images of one group (an identity) must be in one split; '' = the image has no group.
        box: bounding box of the face, (x, y, width, height) in pixels of the source image, or as shares of its width
            and height if none is above 1.
        landmarks: (x, y) in pixels of the source image: left eye, right eye, nose, left and right corner of the
            mouth, left and right as the viewer sees them.
    """

    path: str
    read: Callable[[], bytes | Pixels] = bytes
    labels: dict[str, str | None] = field(default_factory=dict)
    problem: str = ""
    absent: bool = False
    split: Split | None = None
    group: str = ""
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None


class Source(ABC):
    """Images with or without labels.

    Attributes:
        name: short name without folders of this machine; it is stored with the images.
        labels: the label columns of its samples.
        vocabularies: label column -> classes, for columns whose order of classes is known.
        count: number of samples.
        notes: warnings about the source, one sentence each.
    """

    name: str
    labels: tuple[str, ...]
    vocabularies: dict[str, list[str]]
    count: int
    notes: tuple[str, ...] = ()

    @abstractmethod
    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """Samples `start` to `stop` (None = the last), always in the same order.

        One call for a long range is faster than many for short ones: compressed and remote sources are read from the
        beginning, or from the nearest block.
        """

    @abstractmethod
    def stamps(self) -> dict[str, str]:
        """File name -> a text that changes when the file does (size and time, or an ETag); does not read images."""

    def fingerprint(self) -> str:
        """Hex SHA-256 that changes when the source changes, or what is taken from it."""
        state = [self.name, self.labels, self.count, sorted(self.stamps().items())]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def stamp(file: Path) -> str:
    """Size and modification time of a file, as text."""
    status = file.stat()
    return f"{status.st_size} bytes, {status.st_mtime_ns}"


def random_subset(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` (0 = all) of the numbers 0..`count`-1: a fixed random choice, ascending, int64.

    Random, because the first images of a sorted source often belong to one class.
    """
    if limit == 0 or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])
