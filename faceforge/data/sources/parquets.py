"""Parquet, on this machine or anywhere fsspec reaches, and our own image sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset import ImageSet
from faceforge.data.info import INFO_FILE, SPLITS, Split
from faceforge.data.samples import (
    Given,
    Sample,
    Source,
    check_classes,
    choose_labels,
    official,
    split_called,
    spread,
    with_missing,
)
from faceforge.data.sources.columns import Column, choose, from_schema, leaf, usual
from faceforge.data.sources.remote import Remote, reading
from faceforge.errors import FaceForgeError

_ROWS_AT_ONCE = 64


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
        self.vocabularies = {}
        schemas, self._groups = _look(files)
        self._image = _image_column(files[0], schemas[0])
        there = from_schema(schemas[0], {self._image})
        wanted, self.notes = usual(there, config.labels)
        self._columns = choose(name, there, wanted, self._values)
        self.labels = tuple(column.name for column in self._columns)
        self._fields = list(dict.fromkeys([self._image, *(column.path[0] for column in self._columns)]))
        for file, schema in zip(files[1:], schemas[1:], strict=True):
            if missing := [field for field in self._fields if field not in schema.names]:
                raise FaceForgeError(f"{file.path} lacks the column {missing[0]!r} that {files[0].path} has")
        total = sum(group.rows for group in self._groups)
        if total == 0:
            raise FaceForgeError(f"{name} has no rows")
        for column in self._columns:
            found = {column.classify(value) for value in self._values(column)}
            check_classes(name, column.name, [with_missing({"": value}, config)[""] for value in found])
            self.vocabularies |= {column.name: list(column.names)} if column.names and not column.listed else {}
        self._official, notes = official({group.split for group in self._groups})
        self.notes += notes
        self._chosen = spread(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of files and rows; row groups without a wanted row are not read."""
        chosen = self._chosen[start:stop]
        for group in self._groups:
            low, high = np.searchsorted(chosen, [group.first, group.first + group.rows])
            if low < high:
                with reading(group.remote) as stream, pq.ParquetFile(stream) as table:
                    yield from self._rows(table, group, chosen[low:high])

    def stamps(self) -> dict[str, str]:
        """The files."""
        return {file.path: file.stamp() for file in self._files}

    def _rows(self, table: pq.ParquetFile, group: _Group, chosen: NDArray[np.int64]) -> Iterator[Sample]:
        first = group.first
        for batch in table.iter_batches(_ROWS_AT_ONCE, row_groups=[group.index], columns=self._fields):
            for number in chosen[(chosen >= first) & (chosen < first + batch.num_rows)].tolist():
                row = {field: batch.column(field)[number - first].as_py() for field in self._fields}
                yield self._sample(row, number, group.split)
            first += batch.num_rows

    def _sample(self, row: dict[str, Any], number: int, split: Split | None) -> Sample:
        image = row[self._image]
        data = image.get("bytes") if isinstance(image, dict) else image
        path = (image.get("path") if isinstance(image, dict) else None) or f"row {number}"
        labels = with_missing({column.name: column.read(row) for column in self._columns}, self._config)
        split = split if self._official else None
        if not data:
            return Sample(path, labels=labels, problem="no image bytes in this row", split=split)
        return Sample(path, Given(data), labels, split=split)

    def _values(self, column: Column) -> Iterator[Any]:
        """Values of a column, once each where they are no lists."""
        for file in self._files:
            with reading(file) as stream, pq.ParquetFile(stream) as table:
                for batch in table.iter_batches(2**16, columns=[".".join(column.path)]):
                    values = leaf(batch.column(column.path[0]), column)
                    yield from (values if column.listed else values.unique()).to_pylist()


class ImageSetSource(Source):
    """An image set of ours, ingested again (another size, fewer labels). Its splits stay as they are."""

    def __init__(self, root: Path, config: IngestConfig) -> None:
        self._set = ImageSet.open(root)
        info = self._set.info
        self.name = info.source
        self.labels = choose_labels(str(root), list(info.labels), config.labels)
        self.vocabularies = {column: info.labels[column] for column in self.labels}
        self._chosen = spread(sum(info.counts[split].total for split in SPLITS), config.limit)
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
                    yield Sample(record.path, Given(record.image), labels, split=split)
                number += 1


def open_parquet(path: Path, config: IngestConfig) -> Source | None:
    """The Parquet source at a file or folder of this machine; None if the folder holds no Parquet."""
    if path.is_file():
        return ParquetSource(path.stem, [Remote.local(path, path.name)], config)
    if (path / INFO_FILE).is_file():
        return ImageSetSource(path, config)
    files = [(file, file.relative_to(path)) for file in sorted(path.rglob("*.parquet"))]
    shown = [
        Remote.local(file, name.as_posix()) for file, name in files if not any(p.startswith(".") for p in name.parts)
    ]
    return ParquetSource(path.resolve().name, shown, config) if shown else None


def _look(files: list[Remote]) -> tuple[list[pa.Schema], list[_Group]]:
    schemas, groups, first = [], [], 0
    for file in files:
        called = PurePosixPath(file.path)
        split = split_called(called.stem.split("-")[0]) or split_called(called.parent.name)
        with reading(file) as stream, pq.ParquetFile(stream) as table:
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
