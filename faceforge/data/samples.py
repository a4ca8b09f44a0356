"""What every source of images offers, and the checks that all of them share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.info import Split
from faceforge.data.pixels import Pixels
from faceforge.data.writer import RESERVED_COLUMNS
from faceforge.errors import FaceForgeError

MAX_CLASSES = 1000  # a column with more different values is no class but a measurement, a name or a text


@dataclass(frozen=True)
class Sample:
    """One image of a source.

    Attributes:
        path: where it is, relative to the source.
        read: gives file bytes or pixels uint8 (H, W, 3); may raise OSError. Called in worker threads.
        labels: column -> class, or None where the source has no value.
        problem: why it cannot be used, if that is known before reading.
        split: the split it already belongs to, where the source is an image set of ours.
    """

    path: str
    read: Callable[[], bytes | Pixels] = bytes
    labels: dict[str, str | None] = field(default_factory=dict)
    problem: str = ""
    split: Split | None = None


class Source(ABC):
    """Images with or without labels.

    Attributes:
        name: short, without machine-specific folders; it is stored with the images.
        labels: the label columns that samples carry.
        vocabularies: classes whose order the source knows.
        count: how many samples there are to read.
    """

    name: str
    labels: tuple[str, ...]
    vocabularies: dict[str, list[str]]
    count: int

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """The samples, always in the same order."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the source changes; made without reading images."""


def choose_labels(name: str, there: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The label columns to keep (None = all there are).

    Raises:
        FaceForgeError: a wanted column is absent (those there are get listed), or has a name the format needs.
    """
    if wanted is None:
        wanted = there
    for column in wanted:
        if column not in there:
            known = f"it has {', '.join(there)}" if there else "it has none; give a CSV, or a sub-folder per class"
            raise FaceForgeError(f"ingest.labels names {column!r}, but {name} has no such label column: {known}")
        if column in RESERVED_COLUMNS:
            raise FaceForgeError(f"{name}: a label column cannot be called {column!r}; rename it in the source")
    return tuple(dict.fromkeys(wanted))


def check_classes(name: str, column: str, classes: Iterable[str | None]) -> None:
    """A FaceForgeError unless the column has at least two classes, and few enough to be classes at all."""
    found = sorted({value for value in classes if value is not None})
    without = "name others with ingest.labels, or set `ingest.labels=` to go without labels"
    if len(found) < 2:
        have = f"only the class {found[0]!r}" if found else "no values"
        raise FaceForgeError(f"{name}: label column {column!r} has {have} and needs at least two; {without}")
    if len(found) > MAX_CLASSES:
        raise FaceForgeError(
            f"{name}: label column {column!r} has {len(found):,} different values, no classes; {without}"
        )


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """Which of `count` samples to take when at most `limit` are wanted (0 = all): a fixed random choice, ascending.

    A choice from everywhere, because the first ones of a sorted source are often all of one class.
    """
    if limit == 0 or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def class_name(value: Any) -> str | None:
    """A label value as text; None where there is none. Whole floats lose their `.0` (integers beside gaps)."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None


def file_fingerprint(root: Path, files: Iterable[Path], *others: object) -> str:
    """SHA-256 over relative names, sizes and modification times of files, and whatever else matters."""
    digest = hashlib.sha256(repr(others).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.relative_to(root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
