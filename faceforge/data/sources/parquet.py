"""Rows with images: Parquet files (local or remote), data sets saved by `save_to_disk`, and image sets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import INFO_FILE, SPLITS, Split, is_image_set
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.sources.arrow_files import RowFile, opened, saved_data_sets
from faceforge.data.sources.classes import LabelRules, choose_labels
from faceforge.data.sources.columns import (
    TEXT,
    Column,
    choose,
    choose_image_column,
    default_labels,
    from_schema,
    has_type,
    leaf,
)
from faceforge.data.sources.files import MAX_FILE_BYTES, hidden, printable
from faceforge.data.sources.folders import problem_of
from faceforge.data.sources.groups import group_notes
from faceforge.data.sources.remote import Remote
from faceforge.data.sources.samples import InMemory, Sample, Source, random_subset
from faceforge.data.sources.splits import official_splits, split_called, split_column
from faceforge.data.sources.tree import PARTITION, partition_value
from faceforge.errors import FaceForgeError

_SHARD = re.compile(r"(^|-)\d{4,5}(-of-\d{5}.*)?\.parquet$")  # `train-00000-of-00002.parquet`, `0000.parquet`


@dataclass(frozen=True)
class _Group:
    """A row group: its file, its number in the file, the number of its first row in the source, and its split."""

    remote: Remote
    index: int
    first: int
    rows: int
    split: Split | None


class ParquetSource(Source):
    """Files of rows with an image column: bytes, or structs with `bytes`, as Hugging Face writes them.

    Any other column can be a label; if none is requested, only a column called `label` and the columns of partitioned
    folders (`gender=woman/`) are. Integer classes of Hugging Face's `ClassLabel` get their names. Official splits are
    given by files called `train-...` and `test-...`, or by a column such as `split`.

    Raises:
        FaceForgeError: a file is unreadable, has no image column or no rows, or lacks a requested column.
    """

    def __init__(self, name: str, files: list[Remote], config: IngestConfig) -> None:
        self.name, self._files = name, files
        self._schemas, self._groups = _look(files)
        self._image, image_notes = _image_column(files[0], self._schemas[0], config.image_column)
        existing = from_schema(self._schemas[0], {self._image})
        self._constants = {file: _partition_values(file.path, self._schemas[0]) for file in files}
        partitions = list(dict.fromkeys(key for values in self._constants.values() for key in values))
        existing += [Column(key, (key,)) for key in partitions]
        self._partitions = frozenset(partitions)
        self._split = self._split_column(existing)
        self._group_column = self._group(existing, config.group)
        defaults = [key for key in partitions if key not in {config.group, self._split and self._split[0].name}]
        requested, notes = default_labels(existing, config.labels, defaults)
        columns = choose(name, existing, requested, self._lists)
        extra = [c for c in (self._split and self._split[0], self._group_column) if c is not None]
        self._need([self._image, *(column.path[0] for column in (*columns, *extra))])
        total = sum(group.rows for group in self._groups)
        if total == 0:
            raise FaceForgeError(f"{name} has no rows")
        known = {c.name: list(c.names) for c in columns if c.names and not c.listed}
        self._rules = LabelRules(name, self._counts(columns), config, known)
        self.labels, self.vocabularies = self._rules.columns, self._rules.vocabularies
        self._columns = [column for column in columns if column.name in self.labels]
        self._fields = list(dict.fromkeys(column.path[0] for column in (*self._columns, *extra)))
        self._official, split_notes = official_splits({group.split for group in self._groups} | self._splits())
        self.notes = (*image_notes, *notes, *self._rules.notes, *split_notes, *self._group_notes())
        self._chosen = random_subset(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of files and rows; row groups without a chosen row are not read."""
        chosen = self._chosen[start:stop]
        for file, groups in groupby(self._groups, lambda group: group.remote):
            bounds = {group: np.searchsorted(chosen, [group.first, group.first + group.rows]) for group in groups}
            if any(low < high for low, high in bounds.values()):
                with opened(file) as rows:
                    for group, (low, high) in bounds.items():
                        if low < high:
                            yield from self._rows(rows, group, chosen[low:high])

    def stamps(self) -> dict[str, str]:
        """One for each file."""
        return {file.path: file.stamp() for file in self._files}

    def _rows(self, file: RowFile, group: _Group, chosen: NDArray[np.int64]) -> Iterator[Sample]:
        first, constants = group.first, self._constants[group.remote]
        fields = [field for field in self._fields if field not in constants]
        for batch in file.images([self._image, *fields], group.index):
            images = batch.column(self._image)
            sizes = pc.binary_length(pc.struct_field(images, "bytes") if pa.types.is_struct(images.type) else images)
            for number in chosen[(chosen >= first) & (chosen < first + batch.num_rows)].tolist():
                place = number - first
                row = constants | {field: batch.column(field)[place].as_py() for field in fields}
                small = (sizes[place].as_py() or 0) <= MAX_FILE_BYTES
                problem = "no image bytes in this row" if small else f"more than {MAX_FILE_BYTES // 2**20} MB"
                yield self._sample(images[place].as_py() if small else None, row, number, group.split, problem)
            first += batch.num_rows

    def _sample(self, image: Any, row: dict[str, Any], number: int, split: Split | None, problem: str) -> Sample:
        """`problem`: of images without bytes."""
        data = image.get("bytes") if isinstance(image, dict) else image
        path = printable(str((image.get("path") if isinstance(image, dict) else None) or f"row {number}"))
        labels = self._rules.apply({column.name: column.read(row) for column in self._columns})
        if split is None and self._split is not None:
            split = self._split[1].get(self._split[0].read(row))
        split = split if self._official else None
        group = (self._group_column.read(row) or "") if self._group_column else ""
        if not data:
            return Sample(path, labels=labels, problem=problem, split=split, group=group)
        return Sample(path, InMemory(data), labels, split=split, group=group)

    def _counts(self, columns: Sequence[Column]) -> dict[str, Counter[str | None]]:
        """The classes of columns with their numbers of rows, in one pass."""
        counts: dict[str, Counter[str | None]] = {column.name: Counter() for column in columns}
        for column in columns:
            if column.name in self._partitions:
                for group in self._groups:
                    counts[column.name][column.read(self._constants[group.remote])] += group.rows
        stored = [column for column in columns if column.name not in self._partitions]
        for batch in self._batches(stored) if stored else ():
            values: dict[tuple[str, ...], list[tuple[Any, int]]] = {}
            for column in stored:
                if column.path not in values:
                    array = leaf(batch.column(column.path[0]), column)
                    values[column.path] = _value_counts(array, column)
                for value, rows in values[column.path]:
                    counts[column.name][column.classify(value)] += rows
        return counts

    def _split_column(self, existing: Sequence[Column]) -> tuple[Column, dict[str | None, Split]] | None:
        """The column that gives official splits, and the split of each of its values."""
        by_value = self._columns_of_splits(existing)
        for column in existing:
            by_name = split_column(column.name, ("train",)) or split_column(column.name, ("1",))
            if column.many or not (by_name or column.name in by_value):
                continue
            if splits := split_column(column.name, self._counts([column])[column.name]):
                return column, splits
        return None

    def _columns_of_splits(self, existing: Sequence[Column]) -> set[str]:
        """The columns of text whose first values are all names of splits."""
        schema = self._schemas[0]
        stored = [column for column in existing if len(column.path) == 1 and column.name in schema.names]
        texts = [column for column in stored if not column.many and has_type(schema.field(column.name).type, *TEXT)]
        batch = next(self._batches(texts, self._files[:1]), None) if texts else None
        if batch is None:
            return set()
        values = {column.name: batch.column(column.name).unique().to_pylist() for column in texts}
        return {name for name, found in values.items() if found and all(split_called(value or "") for value in found)}

    def _splits(self) -> set[Split | None]:
        return set(self._split[1].values()) if self._split else set()

    def _group(self, existing: Sequence[Column], name: str) -> Column | None:
        if not name:
            return None
        for column in existing:
            if column.name == name and not column.many:
                return column
        columns = ", ".join(column.name for column in existing) or "none"
        raise FaceForgeError(f"ingest.group = {name!r} is not a column of {self.name}; its columns: {columns}")

    def _group_notes(self) -> tuple[str, ...]:
        if self._group_column is None or not self._official:
            return ()
        sides: dict[str, set[Split | None]] = {}
        for split in SPLITS:
            groups = [group for group in self._groups if group.split == split]
            for file in {group.remote for group in groups}:
                for batch in self._batches([self._group_column], [file]):
                    values = leaf(batch.column(self._group_column.path[0]), self._group_column)
                    for value in values.unique().to_pylist():
                        sides.setdefault(str(value), set()).add(split)
        return group_notes(sides, True)

    def _need(self, fields: Sequence[str]) -> None:
        stored = [field for field in fields if field not in self._partitions]
        for file, schema in zip(self._files, self._schemas, strict=True):
            if missing := [field for field in stored if field not in schema.names]:
                raise FaceForgeError(f"{file.path} lacks the column {missing[0]!r} that {self._files[0].path} has")

    def _lists(self, column: Column) -> Iterator[pa.Array]:
        self._need(column.path[:1])
        return (leaf(batch.column(column.path[0]), column) for batch in self._batches([column]))

    def _batches(self, columns: Sequence[Column], files: Sequence[Remote] | None = None) -> Iterator[pa.RecordBatch]:
        """Only these columns, of these files or all."""
        names = [".".join(column.path) for column in columns]
        for file in self._files if files is None else files:
            with opened(file) as rows:
                yield from rows.labels(names)


class ImageSetSource(Source):
    """An image set, ingested again with another size or fewer labels. Its splits are kept."""

    def __init__(self, root: Path, config: IngestConfig) -> None:
        self._set = ImageSet.open(root)
        info = self._set.info
        self.name = info.source
        self.labels = choose_labels(str(root), list(info.labels), config.labels)
        self.vocabularies = {column: info.labels[column] for column in self.labels}
        self.notes = ("ingest.group has no effect: the splits of an image set are kept",) if config.group else ()
        self._chosen = random_subset(sum(info.counts[split].total for split in SPLITS), config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """First the train split, then the holdout."""
        return islice(self._records(), start, stop)

    def stamps(self) -> dict[str, str]:
        """The digest of its content."""
        return {INFO_FILE: self._set.info.digest}

    def _records(self) -> Iterator[Sample]:
        chosen, number = set(self._chosen.tolist()), 0
        for split in SPLITS:
            for record in self._set.records(split):
                if number in chosen:
                    labels: dict[str, str | None] = {column: record.labels[column] for column in self.labels}
                    yield Sample(record.path, InMemory(record.image), labels, split=split)
                number += 1


def has_shards(folder: Path) -> bool:
    """Whether a folder contains Parquet files called like those of data sets."""
    return any(_SHARD.search(file.name) for file in folder.rglob("*.parquet"))


def open_parquet(path: Path, config: IngestConfig) -> Source | None:
    """The source made of the Parquet or Arrow files at a local file or folder; None if the folder has none.

    Raises:
        FaceForgeError: see `ParquetSource`; or a file of the folder is a link that leads out of it.
    """
    if path.is_file():
        return ParquetSource(path.stem, [Remote.local(path, path.name)], config)
    if is_image_set(path):
        return ImageSetSource(path, config)
    root = path.resolve()
    saved = saved_data_sets(root)
    files = [file for file in sorted(root.rglob("*.parquet")) if not saved]
    remotes = saved or [Remote.local(file, file.relative_to(root).as_posix()) for file in files]
    visible = [remote for remote in remotes if not any(map(hidden, PurePosixPath(remote.path).parts))]
    for remote in visible:
        if problem := problem_of(root, Path(remote.address)):
            raise FaceForgeError(f"{remote.path} in {path}: {problem}")
    return ParquetSource(root.name, visible, config) if visible else None


def _look(files: list[Remote]) -> tuple[list[pa.Schema], list[_Group]]:
    """The schema of each file, and all row groups."""
    schemas, groups, first = [], [], 0
    for file in files:
        name = PurePosixPath(file.path)
        split = split_called(name.stem.split("-")[0]) or split_called(name.parent.name)
        with opened(file) as rows:
            schemas.append(rows.schema)
            for index, count in enumerate(rows.groups):
                groups.append(_Group(file, index, first, count, split))
                first += count
    return schemas, groups


def _image_column(file: Remote, schema: pa.Schema, requested: str) -> tuple[str, tuple[str, ...]]:
    """The image column, and a note if there are several."""

    def holds_images(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    columns = [str(field.name) for field in schema if holds_images(field.type)]
    if not columns:
        raise FaceForgeError(
            f"{file.path} has no column of image bytes (binary, or struct with `bytes`); "
            f"it has {', '.join(schema.names)}"
        )
    return choose_image_column(file.path, columns, requested)


def _partition_values(path: str, schema: pa.Schema) -> dict[str, str | None]:
    """Column -> value from folders called `column=value`, without columns that the file has itself."""
    matches = [PARTITION.fullmatch(part) for part in PurePosixPath(path).parts[:-1]]
    pairs = {match[1]: partition_value(match[2]) for match in matches if match}
    return {key: value for key, value in pairs.items() if key not in schema.names}


def _value_counts(array: Any, column: Column) -> list[tuple[Any, int]]:
    if column.listed:
        return [(value, 1) for value in array.to_pylist()]
    return [(entry["values"], entry["counts"]) for entry in pc.value_counts(array).to_pylist()]
