"""Reads label tables of all file formats (CSV and other separated text, JSON, JSON Lines, Parquet) as Arrow tables."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.classes import class_name
from faceforge.data.sources.files import suffix
from faceforge.data.sources.parquet_file import check_text, open_parquet_file
from faceforge.errors import FaceForgeError, first_line

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq"})
_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r"\"?sep=(.)\"?\s*")  # what Excel writes and reads as the first line
_ROW_NUMBERS = re.compile(r"(unnamed: \d+)?", re.IGNORECASE)  # the name of pandas' index column
_BOMS = (  # byte order marks
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FALLBACK = "cp1252"
_LONGEST_HEADER = 2**20  # bytes
_IMAGE_OBJECTS = frozenset({"image", "img", "photo", "picture", "file"})
_NAMES_IN_OBJECTS = ("path", "file_name", "filename", "file", "name", "url", "src")


def read_table(content: bytes, name: str, known: Container[str] = ()) -> tuple[pa.Table, tuple[str, ...]]:
    """The table in the content of a file, and notes on how it was read.

    Args:
        content: of the file.
        name: of the file; its suffix gives the format.
        known: names of images without suffix; a first row with one of them is not a header.

    Raises:
        FaceForgeError: it cannot be read, has no header or no rows, or its column names are empty or repeated.
    """
    ending = suffix(name)
    if ending in {".parquet", ".pq"}:
        try:
            table = open_parquet_file(io.BytesIO(content), name).read()
            for column, values in zip(table.column_names, table.columns, strict=True):
                for chunk in values.chunks:
                    check_text(chunk, column, name)
        except (OSError, pa.ArrowException) as error:
            raise FaceForgeError(f"label file {name} is not readable Parquet: {first_line(error)}") from None
        notes: tuple[str, ...] = ()
    elif ending in {".json", ".jsonl", ".ndjson"}:
        table, notes = _read_json(content, name)
    else:
        table, notes = _read_separated(content, name, known)
    if not table.num_rows:
        raise FaceForgeError(f"label file {name} has no rows")
    return table, notes


def decode_text(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a file in UTF-8, UTF-16, UTF-32 or, with a note, Windows-1252.

    Raises:
        FaceForgeError: it is none of them.
    """
    encoding = next((encoding for bom, encoding in _BOMS if content.startswith(bom)), "")
    if not encoding and content[:200].count(0) > len(content[:200]) // 4:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"  # without a byte order mark
    try:
        return content.decode(encoding or "utf-8"), ()
    except UnicodeDecodeError as error:
        fault = error
    try:
        if encoding:
            raise fault
        return content.decode(_FALLBACK), (f"{name} is not UTF-8 and was read as Windows-1252; save it as UTF-8",)
    except UnicodeDecodeError:
        raise FaceForgeError(f"label file {name} cannot be read as UTF-8 ({fault}); save it as UTF-8") from None


def table_of(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table of records, whose columns are all keys that occur; values of mixed types become text."""
    rows = list(records)
    names = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):  # of mixed types
        plain = (json.dumps(value) if isinstance(value, list | dict) else class_name(value) for value in values)
        return pa.array(list(plain), pa.string())


def _read_json(content: bytes, name: str) -> tuple[pa.Table, tuple[str, ...]]:
    """A list of objects, alone or in an object; one object a line; or an object for each file name."""
    text, notes = decode_text(content, name)
    try:
        if text.lstrip().startswith("[") or suffix(name) == ".json":
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in io.StringIO(text) if line.strip()]
    except (ValueError, RecursionError) as error:
        raise FaceForgeError(f"label file {name} is not readable JSON: {first_line(error)}") from None
    if isinstance(rows, dict) and rows and all(suffix(key) in IMAGE_SUFFIXES for key in rows):
        values = ((key, value if isinstance(value, dict) else {"label": value}) for key, value in rows.items())
        rows = [{"file_name": key, **value} for key, value in values]
    if isinstance(rows, dict):
        lists = [value for value in rows.values() if isinstance(value, list)]
        rows = lists[0] if len(lists) == 1 else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FaceForgeError(f"label file {name} holds no objects with a file name and labels")
    return table_of(map(_with_plain_name, rows)), notes


def _with_plain_name(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the name of its image as text, where it is in an object: `{"image": {"path": "1.png"}}`."""
    nested = {key: value for key, value in row.items() if key.lower() in _IMAGE_OBJECTS and isinstance(value, dict)}
    names = {
        key: next((value[n] for n in _NAMES_IN_OBJECTS if isinstance(value.get(n), str)), None)
        for key, value in nested.items()
    }
    return row | {key: name for key, name in names.items() if name}


def _read_separated(content: bytes, name: str, known: Container[str]) -> tuple[pa.Table, tuple[str, ...]]:
    """Separated text; a first line `sep=;`, a missing header and pandas' index column are recognised."""
    if len(content) > _LONGEST_HEADER and b"\n" not in content[:_LONGEST_HEADER]:
        raise FaceForgeError(f"label file {name} is not a table: its first line is longer than a megabyte")
    text, notes = decode_text(content, name)
    stream = io.StringIO(text, newline="")
    first = stream.readline()
    if separator := _SEP_LINE.fullmatch(first):
        delimiter, first = separator[1], stream.readline()
        start = text.index(first, len(separator[0])) if first else len(text)
    else:
        delimiter, start = "", 0
    if not delimiter:
        unquoted = re.sub(r'"[^"]*"', "", first)
        delimiter = max(_DELIMITERS, key=unquoted.count)
        if not unquoted.count(delimiter) and suffix(name) == ".txt":
            delimiter = " "
    rows = _rows(text[start:], delimiter, name)
    header, rows, header_notes = _header(rows, name, known, spaced=delimiter == " ")
    table = _columns(header, rows, name)
    return table, notes + header_notes


def _rows(text: str, delimiter: str, name: str) -> list[list[str]]:
    if delimiter == " ":
        return [line.split() for line in io.StringIO(text) if line.strip()]
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(row)
    except csv.Error as error:
        raise FaceForgeError(f"label file {name}, row {len(rows) + 1}: {error}") from None
    return rows


def _header(
    rows: list[list[str]], name: str, known: Container[str], spaced: bool
) -> tuple[list[str], list[list[str]], tuple[str, ...]]:
    """Column names, rows and notes. A first row that names an image is not a header, nor is a count of the rows."""
    if not rows:
        raise FaceForgeError(f"label file {name} needs a header: a file-name column and label columns")
    header = [cell.strip() for cell in rows[0]]
    if len(header) == 1 and header[0].isdigit() and len(rows) > 1:  # CelebA's lists begin with a count
        return _header(rows[1:], name, known, spaced)
    images = [place for place, cell in enumerate(header) if suffix(cell) in IMAGE_SUFFIXES] or [
        place for place, cell in enumerate(header) if cell in known and any(map(str.isdigit, cell))
    ]
    if images:
        key, *_ = images
        others = [place for place in range(len(header)) if place != key]
        names = ["label"] if len(others) == 1 else [f"label_{number}" for number in range(1, len(others) + 1)]
        columns = dict(zip(others, names, strict=True)) | {key: "file_name"}
        note = f"{name} has no header; its columns are called {', '.join(columns[n] for n in range(len(header)))}"
        return [columns[place] for place in range(len(header))], rows, (note,)
    if spaced and len(rows) > 1 and len(rows[1]) == len(header) + 1:  # CelebA's lists do not name the column of images
        header = ["file_name", *header]
    return header, rows[1:], ()


def _columns(header: Sequence[str], rows: list[list[str]], name: str) -> pa.Table:
    width = len(header)
    shared: dict[str, str] = {}  # values repeat; one object for each saves memory
    values = [
        [shared.setdefault(cell, cell) if cell else None for cell in (row[n] if n < len(row) else "" for row in rows)]
        for n in range(width)
    ]
    kept = []
    for place, column in enumerate(header):
        if _ROW_NUMBERS.fullmatch(column):
            if _counts_rows(values[place]) or not any(values[place]):
                continue  # the index that pandas writes, or what a separator at the end of the line makes
            if not column:
                raise FaceForgeError(f"label file {name}: column {place + 1} has no name; give it one in the header")
        kept.append(place)
    names = [header[place] for place in kept]
    if len(names) < 2:
        raise FaceForgeError(f"label file {name} needs a header: a file-name column and label columns")
    if twice := next((column for column in names if names.count(column) > 1), ""):
        raise FaceForgeError(f"label file {name} has two columns called {twice!r}; rename one")
    if not rows:
        raise FaceForgeError(f"label file {name} has a header but no rows")
    return pa.table({header[place]: pa.array(values[place], pa.string()) for place in kept})


def _counts_rows(values: Sequence[str | None]) -> bool:
    """Whether values are the numbers of rows, from 0 or 1."""
    if not all(value is not None and value.isdigit() for value in values):
        return False
    numbers = [int(value) for value in values if value is not None]
    return bool(numbers) and len(set(numbers)) == len(numbers)
