"""Parquet: files with an image column and label columns, folders of them, and our own image sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from faceforge.config import IngestConfig
from faceforge.data.imageset import ImageSet
from faceforge.data.info import INFO_FILE, SPLITS
from faceforge.data.samples import Given, Sample, Source, check_classes, choose_labels, class_name, spread, stamp
from faceforge.errors import FaceForgeError

USUAL_LABEL = "label"


class ParquetSource(Source):
    """One or more Parquet files whose image column holds bytes, or structs with `bytes` (as Hugging Face writes them).

    Any other column can be a label; when none is named, only a column called `label` is taken. Integer classes of
    Hugging Face's `ClassLabel` get their names.

    Raises:
        FaceForgeError: a file is unreadable, has no image column or no rows, or lacks a label column.
    """

    def __init__(self, name: str, root: Path, files: list[Path], config: IngestConfig) -> None:
        self.name, self._root, self._files = name, root, files
        self.vocabularies = {}
        schema = _schema(files[0])
        self._image = _image_column(files[0], schema)
        others = [column for column in schema.names if column != self._image]
        wanted = config.labels
        if wanted is None:
            wanted = (USUAL_LABEL,) if USUAL_LABEL in others else ()
        self.labels = choose_labels(name, others, wanted)
        self._names = {column: _class_names(schema, column) for column in self.labels}
        for file in files[1:]:
            if missing := [column for column in (self._image, *self.labels) if column not in _schema(file).names]:
                raise FaceForgeError(f"{file} lacks the column {missing[0]!r} that {files[0].name} has")
        total = sum(pq.read_metadata(file).num_rows for file in files)
        if total == 0:
            raise FaceForgeError(f"{name} has no rows")
        for column in self.labels:
            check_classes(name, column, self._classes(column))
        self._chosen = spread(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of files and rows."""
        return islice(self._rows(), start, stop)

    def _rows(self) -> Iterator[Sample]:
        wanted, first = iter(self._chosen.tolist()), 0
        following = next(wanted, None)
        for file in self._files:
            try:
                with pq.ParquetFile(file) as table:
                    for batch in table.iter_batches(batch_size=64, columns=[self._image, *self.labels]):
                        while following is not None and following < first + batch.num_rows:
                            yield self._sample(batch, following - first, following)
                            following = next(wanted, None)
                        first += batch.num_rows
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(file, error) from None

    def stamps(self) -> dict[str, str]:
        """The files."""
        return {file.relative_to(self._root).as_posix(): stamp(file) for file in self._files}

    def _sample(self, batch: pa.RecordBatch, row: int, number: int) -> Sample:
        image = batch.column(self._image)[row].as_py()
        data = image.get("bytes") if isinstance(image, dict) else image
        path = (image.get("path") if isinstance(image, dict) else None) or f"row {number}"
        labels = {column: self._class(column, batch.column(column)[row].as_py()) for column in self.labels}
        if not data:
            return Sample(path, labels=labels, problem="no image bytes in this row")
        return Sample(path, Given(data), labels)

    def _class(self, column: str, value: object) -> str | None:
        names = self._names[column]
        if isinstance(value, int) and 0 <= value < len(names):
            return names[value]
        return class_name(value)

    def _classes(self, column: str) -> set[str | None]:
        found: set[str | None] = set()
        for file in self._files:
            try:
                values = pq.read_table(file, columns=[column]).column(column).unique().to_pylist()
            except pa.ArrowException:  # nested values have no equality
                kind = _schema(file).field(column).type
                raise FaceForgeError(f"{self.name}: column {column!r} is no label but of type {kind}") from None
            found.update(self._class(column, value) for value in values)
        return found


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

    def _records(self) -> Iterator[Sample]:
        wanted, number = set(self._chosen.tolist()), 0
        for split in SPLITS:
            for record in self._set.records(split):
                if number in wanted:
                    labels: dict[str, str | None] = {column: record.labels[column] for column in self.labels}
                    yield Sample(record.path, Given(record.image), labels, split=split)
                number += 1

    def stamps(self) -> dict[str, str]:
        """The digest of its content."""
        return {INFO_FILE: self._set.info.digest}


def open_parquet(path: Path, config: IngestConfig) -> Source | None:
    """The Parquet source at a file or folder; None if the folder holds no Parquet."""
    if path.is_file():
        return ParquetSource(path.stem, path.parent, [path], config)
    if (path / INFO_FILE).is_file():
        return ImageSetSource(path, config)
    files = sorted(path.rglob("*.parquet"))
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return ParquetSource(path.resolve().name, path, files, config) if files else None


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> FaceForgeError:
    return FaceForgeError(f"{file} is not a readable Parquet file: {(str(error).splitlines() or ['damaged'])[0]}")


def _image_column(file: Path, schema: pa.Schema) -> str:
    def holds_images(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    found = [field.name for field in schema if holds_images(field.type)]
    if not found:
        columns = ", ".join(schema.names)
        raise FaceForgeError(f"{file} has no column of image bytes (binary, or struct with `bytes`); it has {columns}")
    return "image" if "image" in found else str(found[0])


def _class_names(schema: pa.Schema, column: str) -> list[str]:
    """Names of a Hugging Face ClassLabel, or []."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
