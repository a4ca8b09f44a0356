"""What is known about image files besides their content, and the source made of both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.classes import LabelRules
from faceforge.data.sources.files import Files
from faceforge.data.sources.groups import Grouping, group_notes
from faceforge.data.sources.samples import Sample, Source, random_subset
from faceforge.data.sources.split_lists import SplitLists
from faceforge.data.sources.splits import official_splits
from faceforge.data.sources.unused import describe_unused


class Annotations(ABC):
    """Labels, splits, groups and boxes of image files.

    Attributes:
        labels: the label columns that it provides and that are requested; `FileSource` may drop some.
        vocabularies: see `Source`.
        notes: see `Source`.
        documents: the documents of `Files` that it is made from.
        ignored: documents that are known and not needed; all others are mentioned in a note.
        absent: paths of images that are listed, but do not exist.
        groups: the columns that `ingest.group` can name.
        stamps: other files that it is made from; see `Source.stamps`.
    """

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.documents: tuple[str, ...] = ()
        self.ignored: tuple[str, ...] = ()
        self.groups: tuple[str, ...] = ()
        self.absent: list[str] = []
        self.vocabularies: dict[str, list[str]] = {}
        self.stamps: dict[str, str] = {}

    def includes(self, path: str) -> bool:
        """Whether an image file belongs to the data set at all."""
        return True

    @abstractmethod
    def annotate(self, path: str) -> Sample:
        """A sample with all that is known about the image at this path, but without its content."""

    def absent_sample(self, path: str) -> Sample:
        """The sample of one of `absent`."""
        raise NotImplementedError


class FileSource(Source):
    """The image files of a folder or an archive with their annotations.

    First the files in their order, then the images that are listed but absent. `ingest.limit` limits the files.

    Raises:
        FaceForgeError: a label column has too few or too many classes, or `ingest.group` names no column.
    """

    def __init__(self, files: Files, annotations: Annotations, config: IngestConfig) -> None:
        self.name, self._files, self._annotations = files.name, files, annotations
        self._grouping = Grouping(config.group, annotations.groups)
        counts: dict[str, Counter[str | None]] = {column: Counter() for column in annotations.labels}
        splits: set[Split | None] = set()
        groups: dict[str, set[Split | None]] = {}
        used = [path for path in files.usable() if annotations.includes(path)]
        for path in used:
            sample = self._grouping.apply(annotations.annotate(path))
            splits.add(sample.split)
            if sample.group:
                groups.setdefault(sample.group, set()).add(sample.split)
            for column, value in sample.labels.items():
                counts[column][value] += 1
        self._lists = SplitLists(files, used if splits == {None} else (), annotations.documents)
        if self._lists.documents:
            splits = {self._lists.split_of(path) for path in used}
            members = ((self._sample(path).group, self._lists.split_of(path)) for path in (used if groups else ()))
            groups = {}
            for group, split in members:
                groups.setdefault(group, set()).add(split)
        self._rules = LabelRules(self.name, counts, config, annotations.vocabularies)
        self.labels, self.vocabularies = self._rules.columns, self._rules.vocabularies
        annotations.labels = self.labels
        included = np.array([place for place, path in enumerate(files.paths) if annotations.includes(path)], np.int64)
        self._places = included[random_subset(len(included), config.limit)]
        self.count = len(self._places) + len(annotations.absent)
        self._official, split_notes = official_splits(splits)
        self.notes = (
            *files.notes,
            *annotations.notes,
            *self._rules.notes,
            *split_notes,
            *group_notes(groups, self._official),
            *self._lists.notes,
            *describe_unused(files, {*annotations.documents, *annotations.ignored, *self._lists.documents}),
        )

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """See the class."""
        present = len(self._places)
        last = self.count if stop is None else stop
        chosen = self._places[start : min(last, present)].tolist()
        readers = self._files.readers(place for place in chosen if place not in self._files.problems)
        for place in chosen:
            if place in self._files.problems:
                yield Sample(self._files.paths[place], problem=self._files.problems[place])
                continue
            sample = self._sample(self._files.paths[place])
            yield replace(
                sample,
                read=next(readers),
                labels=self._rules.apply(sample.labels),
                split=sample.split if self._official else None,
            )
        absent = self._annotations.absent[max(start - present, 0) : max(last - present, 0)]
        yield from map(self._annotations.absent_sample, absent)

    def stamps(self) -> dict[str, str]:
        """Images and the documents that annotate them."""
        return self._files.stamps((*self._annotations.documents, *self._lists.documents)) | self._annotations.stamps

    def _sample(self, path: str) -> Sample:
        """The sample of a path, with its group and split, but without its content."""
        sample = self._grouping.apply(self._annotations.annotate(path))
        return replace(sample, split=self._lists.split_of(path)) if self._lists.documents else sample
