"""Files of rows with images: Parquet, and the Arrow files of Hugging Face's `save_to_disk`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceforge.data.sources.parquet_file import batch_rows, check_text, open_parquet_file
from faceforge.data.sources.remote import Remote, reading
from faceforge.errors import FaceForgeError

_ROWS_AT_ONCE = 8
_BYTES_AT_ONCE = 64 * 2**20  # of images, if every row repeated all bytes that the row group stores once
STATE_FILE = "state.json"


class RowFile:
    """An open file of rows in groups, each of which can be read without the others.

    Attributes:
        schema: of the rows.
        groups: number of rows of each group.
    """

    schema: pa.Schema
    groups: list[int]

    def images(self, columns: Sequence[str], group: int) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns of one group, so few rows at once that images do not fill the memory."""
        raise NotImplementedError

    def labels(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns (`a.b` for fields of structs) of all groups.

        Raises:
            FaceForgeError: a text is too long for a class.
        """
        raise NotImplementedError


class _ParquetRows(RowFile):
    def __init__(self, file: pq.ParquetFile, name: str) -> None:
        self._file, self._name, self.schema = file, name, file.schema_arrow
        self.groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]

    def images(self, columns: Sequence[str], group: int) -> Iterator[pa.RecordBatch]:
        size = self._file.metadata.row_group(group).total_byte_size
        rows = min(_ROWS_AT_ONCE, max(1, _BYTES_AT_ONCE // max(size, 1)))
        yield from self._file.iter_batches(rows, row_groups=[group], columns=list(columns))

    def labels(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for batch in self._file.iter_batches(batch_rows(self._file), columns=list(columns)):
            yield checked(batch, self._name)


class _ArrowRows(RowFile):
    """The record batches of an Arrow stream or file, memory-mapped: only what is used is read."""

    def __init__(self, path: str, name: str) -> None:
        source, self._name = pa.memory_map(path), name
        try:
            opened = pa.ipc.open_stream(source)
            self._batches, self.schema = list(opened), opened.schema
        except pa.ArrowInvalid:
            file = pa.ipc.open_file(source)
            self._batches, self.schema = [file.get_batch(n) for n in range(file.num_record_batches)], file.schema
        self.groups = [batch.num_rows for batch in self._batches]

    def images(self, columns: Sequence[str], group: int) -> Iterator[pa.RecordBatch]:
        chosen = self._batches[group].select(list(columns))
        return (chosen.slice(start, _ROWS_AT_ONCE) for start in range(0, chosen.num_rows, _ROWS_AT_ONCE))

    def labels(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        top = list(dict.fromkeys(name.partition(".")[0] for name in columns))
        return (checked(batch.select(top), self._name) for batch in self._batches)


def checked(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """The same batch of labels, after `parquet_file.check_text`."""
    for column, values in zip(batch.schema.names, batch.columns, strict=True):
        check_text(values, column, name)
    return batch


@contextmanager
def opened(file: Remote) -> Iterator[RowFile]:
    """Opens a file of rows; whatever fails in the block is reported as a fault of this file."""
    with reading(file) as stream:
        if file.path.lower().endswith(".arrow"):
            yield _ArrowRows(file.address, file.path)
        else:
            with open_parquet_file(stream, file.path) as table:
                yield _ParquetRows(table, file.path)


def saved_data_sets(root: Path) -> list[Remote]:
    """The Arrow files of a folder that `save_to_disk` has written (one data set, or one for each split); [] if none.

    Raises:
        FaceForgeError: it was saved with row indices, which must be resolved first.
    """
    files: list[Remote] = []
    for state in sorted(root.rglob(STATE_FILE)):
        try:
            content: Any = json.loads(state.read_bytes())
            names = [entry["filename"] for entry in content["_data_files"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if content.get("_indices_files") or content.get("_indices_data_files"):
            raise FaceForgeError(f"{state.parent} was saved with row indices; call flatten_indices() and save it again")
        for name in names:
            path = state.parent / Path(name).name
            files.append(Remote.local(path, path.relative_to(root).as_posix()))
    return files
