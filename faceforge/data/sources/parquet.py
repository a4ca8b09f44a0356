"""Parquet, on this machine or anywhere fsspec reaches, and our own image sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import INFO_FILE, SPLITS, Split
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.sources.columns import Column, choose, from_schema, leaf, usual
from faceforge.data.sources.files import MAX_FILE_BYTES, printable
from faceforge.data.sources.folders import problem_of
from faceforge.data.sources.parquet_file import batch_rows, check_text, open_parquet_file
from faceforge.data.sources.remote import Remote, reading
from faceforge.data.sources.samples import (
    InMemory,
    Sample,
    Source,
    check_labels,
    choose_labels,
    official,
    random_subset,
    split_called,
    with_missing,
)
from faceforge.errors import FaceForgeError

_ROWS_AT_ONCE = 8
_BYTES_AT_ONCE = 64 * 2**20  # of images, if every row repeated all bytes that the row group stores once
_SHARD = re.compile(r"(^|-)\d{4,5}(-of-\d{5}.*)?\.parquet$")  # `train-00000-of-00002.parquet`, `0000.parquet`


@dataclass(frozen=True)
class _Group:
    """A row group: what Parquet can read without the rest of its file."""

    remote: Remote
    index: int
    first: int
    rows: int
    split: Split | None


class ParquetSource(Source):
    """One or more Parquet files whose image column holds bytes, or structs with `bytes` (as Hugging Face writes them).

    Any other column can be a label; when none is named, only a column called `label` is taken. Integer classes of
    Hugging Face's `ClassLabel` get their names. Files called as Hugging Face calls those of splits
    (`train-00000-of-00002.parquet`, `test-...`) are official splits.

    Raises:
        FaceForgeError: a file is unreadable, has no image column or no rows, or lacks a label column.
    """

    def __init__(self, name: str, files: list[Remote], config: IngestConfig) -> None:
        self.name, self._files, self._config = name, files, config
        self._schemas, self._groups = _look(files)
        self._image = _image_column(files[0], self._schemas[0])
        there = from_schema(self._schemas[0], {self._image})
        wanted, self.notes = usual(there, config.labels)
        columns = choose(name, there, wanted, self._lists)
        self._need([self._image, *(column.path[0] for column in columns)])
        total = sum(group.rows for group in self._groups)
        if total == 0:
            raise FaceForgeError(f"{name} has no rows")
        self.labels, left_out = check_labels(name, self._classes(columns), config)
        self._columns = [column for column in columns if column.name in self.labels]
        self._fields = list(dict.fromkeys(column.path[0] for column in self._columns))
        self.vocabularies = {c.name: list(c.names) for c in self._columns if c.names and not c.listed}
        self._official, notes = official({group.split for group in self._groups})
        self.notes += left_out + notes
        self._chosen = random_subset(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of files and rows; row groups without a wanted row are not read."""
        chosen = self._chosen[start:stop]
        for file, groups in groupby(self._groups, lambda group: group.remote):
            bounds = {group: np.searchsorted(chosen, [group.first, group.first + group.rows]) for group in groups}
            if any(low < high for low, high in bounds.values()):
                with reading(file) as stream, open_parquet_file(stream, file.path) as table:
                    for group, (low, high) in bounds.items():
                        if low < high:
                            yield from self._rows(table, group, chosen[low:high])

    def stamps(self) -> dict[str, str]:
        """The files."""
        return {file.path: file.stamp() for file in self._files}

    def _rows(self, table: pq.ParquetFile, group: _Group, chosen: NDArray[np.int64]) -> Iterator[Sample]:
        first, size = group.first, table.metadata.row_group(group.index).total_byte_size
        at_once = min(_ROWS_AT_ONCE, max(1, _BYTES_AT_ONCE // max(size, 1)))
        for batch in table.iter_batches(at_once, row_groups=[group.index], columns=[self._image, *self._fields]):
            images = batch.column(self._image)
            sizes = pc.binary_length(pc.struct_field(images, "bytes") if pa.types.is_struct(images.type) else images)
            for number in chosen[(chosen >= first) & (chosen < first + batch.num_rows)].tolist():
                place = number - first
                row = {field: batch.column(field)[place].as_py() for field in self._fields}
                small = (sizes[place].as_py() or 0) <= MAX_FILE_BYTES
                problem = "no image bytes in this row" if small else f"more than {MAX_FILE_BYTES // 2**20} MB"
                yield self._sample(images[place].as_py() if small else None, row, number, group.split, problem)
            first += batch.num_rows

    def _sample(self, image: Any, row: dict[str, Any], number: int, split: Split | None, problem: str) -> Sample:
        """`problem`: of images without bytes."""
        data = image.get("bytes") if isinstance(image, dict) else image
        path = printable(str((image.get("path") if isinstance(image, dict) else None) or f"row {number}"))
        labels = with_missing({column.name: column.read(row) for column in self._columns}, self._config)
        split = split if self._official else None
        if not data:
            return Sample(path, labels=labels, problem=problem, split=split)
        return Sample(path, InMemory(data), labels, split=split)

    def _classes(self, columns: Sequence[Column]) -> dict[str, set[str | None]]:
        """The classes of columns, all found in one pass."""
        found: dict[str, set[str | None]] = {column.name: set() for column in columns}
        for batch in self._batches(columns) if columns else ():
            values: dict[tuple[str, ...], list[Any]] = {}
            for column in columns:
                if column.listed and len(found[column.name] - {None}) == 2:
                    continue  # yes and no are all there can be
                if column.path not in values:
                    array = leaf(batch.column(column.path[0]), column)
                    values[column.path] = (array if column.listed else array.unique()).to_pylist()
                found[column.name].update(map(column.classify, values[column.path]))
        return {name: {with_missing({"": value}, self._config)[""] for value in found[name]} for name in found}

    def _need(self, fields: Sequence[str]) -> None:
        for file, schema in zip(self._files, self._schemas, strict=True):
            if missing := [field for field in fields if field not in schema.names]:
                raise FaceForgeError(f"{file.path} lacks the column {missing[0]!r} that {self._files[0].path} has")

    def _lists(self, column: Column) -> Iterator[pa.Array]:
        self._need(column.path[:1])
        return (leaf(batch.column(column.path[0]), column) for batch in self._batches([column]))

    def _batches(self, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Nothing but these columns, of all files."""
        for file in self._files:
            with reading(file) as stream, open_parquet_file(stream, file.path) as table:
                names = [".".join(column.path) for column in columns]
                for batch in table.iter_batches(batch_rows(table), columns=names):
                    for name, values in zip(batch.schema.names, batch.columns, strict=True):
                        check_text(values, name, file.path)
                    yield batch


class ImageSetSource(Source):
    """An image set of ours, ingested again (another size, fewer labels). Its splits stay as they are."""

    def __init__(self, root: Path, config: IngestConfig) -> None:
        self._set = ImageSet.open(root)
        info = self._set.info
        self.name = info.source
        self.labels = choose_labels(str(root), list(info.labels), config.labels)
        self.vocabularies = {column: info.labels[column] for column in self.labels}
        self._chosen = random_subset(sum(info.counts[split].total for split in SPLITS), config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """First the train split, then the holdout."""
        return islice(self._records(), start, stop)

    def stamps(self) -> dict[str, str]:
        """The digest of its content."""
        return {INFO_FILE: self._set.info.digest}

    def _records(self) -> Iterator[Sample]:
        wanted, number = set(self._chosen.tolist()), 0
        for split in SPLITS:
            for record in self._set.records(split):
                if number in wanted:
                    labels: dict[str, str | None] = {column: record.labels[column] for column in self.labels}
                    yield Sample(record.path, InMemory(record.image), labels, split=split)
                number += 1


def has_shards(folder: Path) -> bool:
    """Whether there are Parquet files called as those of data sets are."""
    return any(_SHARD.search(file.name) for file in folder.rglob("*.parquet"))


def open_parquet(path: Path, config: IngestConfig) -> Source | None:
    """The Parquet source at a file or folder of this machine; None if the folder holds no Parquet.

    Raises:
        FaceForgeError: see `ParquetSource`; or a file of the folder is a link that leads out of it.
    """
    if path.is_file():
        return ParquetSource(path.stem, [Remote.local(path, path.name)], config)
    if (path / INFO_FILE).is_file():
        return ImageSetSource(path, config)
    root = path.resolve()
    shown = []
    for file in sorted(root.rglob("*.parquet")):
        name = file.relative_to(root)
        if not any(part.startswith(".") for part in name.parts):
            if problem := problem_of(root, file):
                raise FaceForgeError(f"{name} in {path}: {problem}")
            shown.append(Remote.local(file, name.as_posix()))
    return ParquetSource(root.name, shown, config) if shown else None


def _look(files: list[Remote]) -> tuple[list[pa.Schema], list[_Group]]:
    schemas, groups, first = [], [], 0
    for file in files:
        called = PurePosixPath(file.path)
        split = split_called(called.stem.split("-")[0]) or split_called(called.parent.name)
        with reading(file) as stream, open_parquet_file(stream, file.path) as table:
            schemas.append(table.schema_arrow)
            for index in range(table.num_row_groups):
                rows = table.metadata.row_group(index).num_rows
                groups.append(_Group(file, index, first, rows, split))
                first += rows
    return schemas, groups


def _image_column(file: Remote, schema: pa.Schema) -> str:
    def holds_images(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    found = [field.name for field in schema if holds_images(field.type)]
    if not found:
        columns = ", ".join(schema.names)
        raise FaceForgeError(
            f"{file.path} has no column of image bytes (binary, or struct with `bytes`); it has {columns}"
        )
    return "image" if "image" in found else str(found[0])
