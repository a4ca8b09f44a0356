"""Image files and what is known about them: the two halves of most sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.files import Files
from faceforge.data.sources.samples import (
    Sample,
    Source,
    check_labels,
    choose_labels,
    official,
    split_called,
    random_subset,
    with_missing,
)

FOLDER_COLUMN = "label"


class Labelling(ABC):
    """What is known about image files besides their content.

    Attributes:
        labels: the label columns that it gives and that are wanted; `FileSource` may drop some.
        vocabularies: see `Source`.
        notes: see `Source`.
        tables: those of `Files.tables` that it is made from.
        absent: paths of what is listed, but not there.
        stamps: what else it is made from; see `Source.stamps`.
    """

    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.absent: list[str] = []
        self.vocabularies: dict[str, list[str]] = {}
        self.stamps: dict[str, str] = {}

    def takes(self, path: str) -> bool:
        """Whether a file belongs to the set at all."""
        return True

    @abstractmethod
    def annotate(self, path: str) -> Sample:
        """A sample with all that is known about the file at this path, but not its content."""

    def lack(self, path: str) -> Sample:
        """A sample for one of `absent`."""
        raise NotImplementedError


class FileSource(Source):
    """Image files of a folder or an archive with their labels.

    The files come first, in their order; then what is listed but not there. `ingest.limit` is a limit on files.

    Raises:
        FaceForgeError: a label column has too few classes or too many.
    """

    def __init__(self, files: Files, labelling: Labelling, config: IngestConfig) -> None:
        self.name, self.labels, self.vocabularies = files.name, labelling.labels, labelling.vocabularies
        self._files, self._labelling, self._config = files, labelling, config
        classes: dict[str, set[str | None]] = {column: set() for column in self.labels}
        splits: set[Split | None] = set()
        for path in filter(labelling.takes, files.usable()):
            sample = labelling.annotate(path)
            splits.add(sample.split)
            for column, value in with_missing(sample.labels, config).items():
                classes[column].add(value)
        self.labels, left_out = check_labels(self.name, classes, config)
        labelling.labels = self.labels
        taken = np.array([place for place, path in enumerate(files.paths) if labelling.takes(path)], np.int64)
        self._places = taken[random_subset(len(taken), config.limit)]
        self.count = len(self._places) + len(labelling.absent)
        self._official, notes = official(splits)
        beside = files.passed_over()
        self.notes = (*labelling.notes, *left_out, *((f"passed over: {beside}",) if beside else ()), *notes)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """See the class."""
        there = len(self._places)
        last = self.count if stop is None else stop
        chosen = self._places[start : min(last, there)].tolist()
        readers = self._files.readers(place for place in chosen if place not in self._files.problems)
        for place in chosen:
            if place in self._files.problems:
                yield Sample(self._files.paths[place], problem=self._files.problems[place])
                continue
            sample = self._labelling.annotate(self._files.paths[place])
            yield replace(
                sample,
                read=next(readers),
                labels=with_missing(sample.labels, self._config),
                split=sample.split if self._official else None,
            )
        yield from map(self._labelling.lack, self._labelling.absent[max(start - there, 0) : max(last - there, 0)])

    def stamps(self) -> dict[str, str]:
        """Files and tables."""
        return self._files.stamps(self._labelling.tables) | self._labelling.stamps


class NoLabels(Labelling):
    """Nothing but the files."""

    def annotate(self, path: str) -> Sample:
        """The path."""
        return Sample(path)


class TreeLabels(Labelling):
    """The first folder of a path is its class, in the column `label`; a flat folder has no labels.

    Where the first folders are called as splits are (`train`, `test`...), they are official splits, and the class is
    the folder below.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        tops = {path.partition("/")[0] for path in files.usable()}
        self._depth = 1 if len(tops) > 1 and all(split_called(top) for top in tops) else 0
        nested = any(path.count("/") > self._depth for path in files.usable())
        self.labels = choose_labels(files.name, (FOLDER_COLUMN,) if nested else (), config.labels)

    def annotate(self, path: str) -> Sample:
        """Class and split by folders."""
        parts = path.split("/")
        split = split_called(parts[0]) if self._depth else None
        if self.labels and len(parts) - 1 <= self._depth:
            return Sample(path, problem="lies beside the class folders, not in one")
        return Sample(path, labels=dict.fromkeys(self.labels, parts[self._depth]), split=split)
