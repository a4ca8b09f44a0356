"""Images as arrays: `.npz` and `.npy` of NumPy, the idx files of MNIST, and CSV files with a column of pixels."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Pixels
from faceforge.data.sources.array_parts import CSV, Part, array_kind, read_parts
from faceforge.data.sources.bins import parse_bins
from faceforge.data.sources.classes import LabelRules, choose_labels, class_name, identifying_columns
from faceforge.data.sources.columns import Column, default_labels
from faceforge.data.sources.samples import InMemory, Sample, Source, random_subset, stamp
from faceforge.data.sources.splits import official_splits, split_column
from faceforge.errors import FaceForgeError


class ArraySource(Source):
    """Arrays of images with arrays of labels.

    The array of labels (`y`, `labels`, ...) is the column `label`; other arrays are columns by name. Names with
    `train`, `val` or `test`, or a column such as FER2013's `Usage`, give official splits. Test images without labels
    are left out where labels are wanted.

    Raises:
        FaceForgeError: the arrays are not images, or a label column is missing or unusable.
    """

    def __init__(self, files: Sequence[Path], name: str, config: IngestConfig) -> None:
        self.name = name
        parts, self._files, notes = read_parts(files, config)
        names = list(dict.fromkeys(column for part in parts for column in part.columns))
        self._split = next(
            ((name, splits) for name in names if (splits := split_column(name, _classes(parts, name)))), None
        )
        if config.group and config.group not in names:
            columns = ", ".join(names) or "none"
            raise FaceForgeError(f"ingest.group = {config.group!r} is not a column of {name}; its columns: {columns}")
        self._group = config.group
        labels = [column for column in names if column not in {self._split and self._split[0], config.group}]
        counts = {column: Counter(_classes(parts, column)) for column in labels}
        defaults: Sequence[str] = ()
        if array_kind(files[0]) == CSV and config.labels is None:
            rows = sum(len(part.images) for part in parts)
            left_out, more = identifying_columns(counts, rows, parse_bins(config.bins))
            defaults = [column for column in labels if column not in left_out]
            notes += more
        requested, more = default_labels([Column(column, (column,)) for column in labels], config.labels, defaults)
        chosen = choose_labels(name, labels, requested)
        self._parts, unlabelled = _with_labels(parts, chosen)
        self._starts = np.cumsum([0, *(len(part.images) for part in self._parts)])
        self._rules = LabelRules(name, {c: Counter(_classes(self._parts, c)) for c in chosen}, config)
        self.labels, self.vocabularies = self._rules.columns, self._rules.vocabularies
        official: set[Split | None] = {part.split for part in self._parts}
        official |= set(self._split[1].values()) if self._split else set()
        self._official, split_notes = official_splits(official)
        self.notes = (*notes, *more, *unlabelled, *self._rules.notes, *split_notes)
        self._chosen = random_subset(int(self._starts[-1]), config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of the arrays."""
        for number in self._chosen[start:stop].tolist():
            place = int(np.searchsorted(self._starts, number, "right")) - 1
            part, row = self._parts[place], number - int(self._starts[place])
            values = {column: class_name(_plain(part.columns[column][row])) for column in part.columns}
            split = part.split
            if self._split is not None:
                split = self._split[1].get(values.get(self._split[0])) or split
            yield Sample(
                f"{part.name}/{row:06d}",
                InMemory(_rgb(np.asarray(part.images[row]))),
                self._rules.apply({column: values.get(column) for column in self.labels}),
                split=split if self._official else None,
                group=(values.get(self._group) or "") if self._group else "",
            )

    def stamps(self) -> dict[str, str]:
        """One for each file."""
        top = self._files[0].parent
        return {os.path.relpath(file, top): stamp(file) for file in self._files}


def _classes(parts: Sequence[Part], column: str) -> list[str | None]:
    """The class of each image in a column."""
    return [
        class_name(_plain(value)) for part in parts for value in part.columns.get(column, [None] * len(part.images))
    ]


def _with_labels(parts: list[Part], labels: Collection[str]) -> tuple[list[Part], list[str]]:
    """The parts without held-out images that have no column of labels although training images have; and notes."""

    def is_unlabelled(part: Part) -> bool:
        return part.split == "holdout" and bool(labels) and part.columns.keys().isdisjoint(labels)

    kept = [part for part in parts if not is_unlabelled(part)]
    if all(part.split == "holdout" for part in kept):
        return parts, []
    left_out = ((part.name, len(part.images)) for part in parts if is_unlabelled(part))
    return kept, [f"the images of {name} have no labels, so they are left out ({count:,})" for name, count in left_out]


def _rgb(pixels: Pixels) -> Pixels:
    """One image uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as (H, W, 3); transparency is laid over white."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3:].astype(np.float32) / 255
        return np.rint(pixels[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value
