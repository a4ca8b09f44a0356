"""Opens Parquet files from anywhere so that reading them takes memory in proportion to their size.

Parquet stores repeated values once: a few kilobytes can stand for gigabytes. Text is therefore read as a dictionary and
indices, and what a file declares about its size is checked before anything is decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceforge.errors import FaceForgeError

MAX_TEXT = 1000  # bytes of a class name or a file name; longer texts are neither
MAX_LIST = 1000  # values in a list, on average
BATCH_VALUES = 2**20  # of the longest column read at once
_FEW_ROWS = 2**20
_BUFFER = 4 * 2**20  # bytes of each column that are read ahead: a row group can be as large as its file


def open_parquet_file(stream: IO[bytes], name: str) -> pq.ParquetFile:
    """Opens a Parquet file whose text columns are read as dictionaries.

    Args:
        stream: with random access; it must stay open.
        name: of the file, for messages.

    Raises:
        FaceForgeError: it has millions of rows but fewer bytes, huge lists, or two columns of one name.
    """
    plain = pq.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False)
    repeated = [column for column, count in Counter(plain.schema_arrow.names).items() if count > 1]
    if repeated:
        raise FaceForgeError(f"{name} has several columns called {repeated[0]!r}; rename one")
    _check_counts(plain.metadata, stream.seek(0, os.SEEK_END), name)
    columns = [plain.schema.column(index) for index in range(len(plain.schema))]
    text = [column.path for column in columns if column.logical_type.type == "STRING"]
    return pq.ParquetFile(stream, metadata=plain.metadata, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=text)


def batch_rows(table: pq.ParquetFile) -> int:
    """How many rows to read at once so that no column has more than about `BATCH_VALUES` values."""
    metadata = table.metadata
    longest = max((_values(metadata, column) for column in range(metadata.num_columns)), default=0)
    return max(1, min(2**16, BATCH_VALUES * metadata.num_rows // max(longest, 1)))


def check_text(values: pa.Array, column: str, name: str) -> None:
    """Checks the text in an array of any nesting before it becomes Python objects.

    Raises:
        FaceForgeError: a text longer than `MAX_TEXT`.
        pyarrow.ArrowInvalid: it is not UTF-8.
    """
    values.validate(full=True)
    if pa.types.is_struct(values.type):
        for number in range(values.type.num_fields):
            check_text(values.field(number), column, name)
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        check_text(values.values, column, name)
    elif pa.types.is_dictionary(values.type):
        longest = pc.max(pc.binary_length(values.dictionary)).as_py() or 0
        if longest > MAX_TEXT:
            raise FaceForgeError(
                f"{name}: {column!r} has a text of {longest:,} bytes, which is no class; name other columns with "
                "ingest.labels, or set `ingest.labels=` to go without labels"
            )


def _check_counts(metadata: pq.FileMetaData, size: int, name: str) -> None:
    if metadata.num_rows > max(size, _FEW_ROWS):  # different images take more than a byte each
        raise FaceForgeError(f"{name} has {metadata.num_rows:,} rows in {size:,} bytes; it cannot hold images or names")
    for column in range(metadata.num_columns):
        if (values := _values(metadata, column)) > max(MAX_LIST * metadata.num_rows, MAX_LIST):
            path = metadata.row_group(0).column(column).path_in_schema
            raise FaceForgeError(f"{name}: the lists in {path!r} have {values:,} values in all, which are no classes")


def _values(metadata: pq.FileMetaData, column: int) -> int:
    return sum(metadata.row_group(group).column(column).num_values for group in range(metadata.num_row_groups))
