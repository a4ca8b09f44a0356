"""What every source of images offers, and the checks that all of them share."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import RESERVED_COLUMNS, Split
from faceforge.data.pixels import Pixels
from faceforge.errors import FaceForgeError

MISSING_CLASS = "unknown"
_SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "validation", "valid", "val", "dev", "eval", "holdout"), "holdout"),
}
MAX_CLASSES = 1000  # a column with more different values is no class but a measurement, a name or a text


@dataclass(frozen=True)
class InMemory:
    """A `Sample.read` for content that is in memory already."""

    content: bytes | Pixels

    def __call__(self) -> bytes | Pixels:
        """The content."""
        return self.content


@dataclass(frozen=True)
class Sample:
    """One image of a source.

    Attributes:
        path: where it is, relative to the source; text that can be stored and printed.
        read: gives file bytes or pixels uint8 (H, W, 3); may raise OSError. It is small, can be pickled, and may be
            called in another thread or process.
        labels: column -> class, or None where the source has no value.
        problem: why it cannot be used, if that is known before reading.
        absent: an official list names it, but the source does not hold it: a reject like any other, except that it
            does not count against `ingest.max_rejects`, for a part of an official set is no fault.
        split: the split it already belongs to, where the source has official ones.
        group: images of one group (an identity) must not be on both sides of the split; '' = a group of its own.
        box: of the face, (x, y, width, height) in pixels of the source image, x to the right, y downwards.
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
    box: tuple[int, int, int, int] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None


class Source(ABC):
    """Images with or without labels.

    Attributes:
        name: short, without machine-specific folders; it is stored with the images.
        labels: the label columns that samples carry.
        vocabularies: classes whose order the source knows.
        count: how many samples there are to read.
        notes: what is odd about the source but does not keep it from being used, a sentence each.
    """

    name: str
    labels: tuple[str, ...]
    vocabularies: dict[str, list[str]]
    count: int
    notes: tuple[str, ...] = ()

    @abstractmethod
    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """Samples number `start` to `stop` (or the last), always in the same order.

        One call for a long range is cheaper than many for short ones: what is compressed or remote is read from the
        beginning, or from the nearest block.
        """

    @abstractmethod
    def stamps(self) -> dict[str, str]:
        """What the source is made of -> what changes with it (size and time, or a tag); made without reading images."""

    def fingerprint(self) -> str:
        """Changes when the source changes, or what is taken from it."""
        made_of = [self.name, self.labels, self.count, sorted(self.stamps().items())]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def stamp(file: Path) -> str:
    """Size and modification time of a file, as text."""
    status = file.stat()
    return f"{status.st_size} bytes, {status.st_mtime_ns}"


def choose_labels(name: str, there: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The label columns to keep (None = all there are).

    Raises:
        FaceForgeError: a wanted column is absent (those there are get listed), or has a name the format needs.
    """
    if wanted is None:
        wanted = there
    for column in wanted:
        if column not in there:
            known = (
                f"it has {', '.join(there)}"
                if there
                else "it has none; give a table, a pattern or a sub-folder per class"
            )
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


def check_labels(
    name: str, classes: Mapping[str, Collection[str | None]], config: IngestConfig
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The label columns to keep of those with these classes, and a note on the others.

    Where none are named, columns with too many values for classes are left out; else see `check_classes`.
    """
    counts = {column: len(set(found) - {None}) for column, found in classes.items()}
    left_out = [column for column in counts if config.labels is None and counts[column] > MAX_CLASSES]
    kept = tuple(column for column in counts if column not in left_out)
    for column in kept:
        check_classes(name, column, classes[column])
    listed = ", ".join(f"{column} ({counts[column]:,})" for column in left_out)
    return kept, ((f"not taken as labels, because they have too many values: {listed}",) if left_out else ())


def with_missing(labels: Mapping[str, str | None], config: IngestConfig) -> dict[str, str | None]:
    """Labels as `ingest.missing` wants them: a missing one stays None (a reject), or becomes a class of its own."""
    other = MISSING_CLASS if config.missing == "class" else None
    return {column: other if value is None else value for column, value in labels.items()}


def split_called(name: str) -> Split | None:
    """The split that a folder, a file or a table calls by this name; everything official but training is held out."""
    return _SPLIT_NAMES.get(name.lower())


def official(splits: Collection[Split | None]) -> tuple[bool, tuple[str, ...]]:
    """Whether to keep the official splits of samples, and a note if not although there are some."""
    found = {split for split in splits if split}
    note = f"all that is there is of the official {'/'.join(found)} split, so the holdout is chosen by content"
    return len(found) > 1, ((note,) if len(found) == 1 else ())


def random_subset(count: int, limit: int) -> NDArray[np.int64]:
    """Which of `count` samples to take when at most `limit` are wanted (0 = all): a fixed random choice, ascending.

    A choice from everywhere, because the first ones of a sorted source are often all of one class.
    """
    if limit == 0 or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def class_name(value: Any) -> str | None:
    """A label value as text; None where there is none.

    Whole floats lose their `.0` (integers beside gaps), yes and no are `1` and `0`.
    """
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return str(value).strip() or None
