"""Labels from file names, by a pattern (`ingest.labels_from_name`)."""

from __future__ import annotations

from collections import Counter

from faceforge.config import IngestConfig
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.bins import parse_bins
from faceforge.data.sources.classes import choose_labels, class_name, identifying_columns
from faceforge.data.sources.files import Files
from faceforge.data.sources.name_pattern import NamePattern
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.tree import SplitFolders
from faceforge.errors import FaceForgeError


class NameLabels(Annotations):
    """The fields of a pattern as label columns; folders called like splits are official splits.

    Where `ingest.labels` is unset, fields that differ between almost all images are not taken as labels.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        self._pattern = NamePattern(config.labels_from_name, "ingest.labels_from_name")
        self._splits, self._group = SplitFolders(files), config.group
        fields = self._pattern.fields
        values: dict[str, Counter[str | None]] = {field: Counter() for field in fields}
        matched = 0
        for path in files.usable():
            if match := self._pattern.match(path):
                matched += 1
                for field in fields:
                    values[field][match[field]] += 1
        if not matched:
            first = next(files.usable(), "")
            raise FaceForgeError(
                f"ingest.labels_from_name = {config.labels_from_name!r} fits none of {len(files.paths):,} names "
                f"in {files.name} (the first: {first})"
            )
        requested = config.labels
        if requested is None:
            not_labels, self.notes = identifying_columns(values, matched, parse_bins(config.bins))
            requested = tuple(field for field in fields if field not in {*not_labels, config.group})
        self.labels = choose_labels(f"the pattern {config.labels_from_name}", fields, requested)
        self.groups = tuple(fields)

    def annotate(self, path: str) -> Sample:
        """The fields of its name; a problem if the name does not fit."""
        match = self._pattern.match(path)
        if not match:
            return Sample(path, problem="its name does not fit ingest.labels_from_name")
        return Sample(
            path,
            labels={column: class_name(match[column]) for column in self.labels},
            split=self._splits.split_of(path),
            group=match.get(self._group, ""),
        )
