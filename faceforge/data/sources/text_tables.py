"""Reads label tables of all file formats (CSV and other separated text, JSON, JSON Lines, Parquet) as Arrow tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Container, Sequence

import pyarrow as pa

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.files import suffix
from faceforge.data.sources.json_tables import read_json
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
        text, notes = decode_text(content, name)
        table = read_json(text, name, known)
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
