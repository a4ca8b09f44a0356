"""Labels from a table beside the images: CSV or Parquet with a file-name column."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import pyarrow as pa

from faceforge.config import IngestConfig
from faceforge.data.sources.columns import choose, from_schema, leaf
from faceforge.data.sources.files import LABEL_TABLES, Files, printable
from faceforge.data.sources.folders import read_table
from faceforge.data.sources.labelled import Labelling
from faceforge.data.sources.parquet_file import check_text, open_parquet_file
from faceforge.data.sources.samples import Sample, choose_labels, class_name, stamp
from faceforge.errors import FaceForgeError, first_line

FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "path")

Rows = dict[str, tuple[str | None, ...]]


class TableLabels(Labelling):
    """The columns of a table are the labels of the files that it names.

    Names are paths relative to the folder of images. Where they are not, a row is matched by the last part of its name,
    with or without suffix, as long as only one row and one file are called so.
    """

    def __init__(self, files: Files, config: IngestConfig, file: str = "") -> None:
        """Takes the table from a file, or, where none is named, the one beside the images."""
        super().__init__()
        if file:
            content = read_table(Path(file))
            self._name = Path(file).name
            self.stamps = {self._name: stamp(Path(file))}
        else:
            self._name = next(name for name in LABEL_TABLES if name in files.tables)
            self.tables = (self._name,)
            content = files.table(self._name)
        reader = read_parquet if self._name.lower().endswith((".parquet", ".pq")) else read_csv
        self._columns, self._rows = reader(content, self._name, f"{files.name} with {self._name}", config.labels)
        self.labels = self._columns
        self._other = _match(files.paths, self._rows)
        self.absent = sorted(self._rows.keys() - set(files.paths) - set(self._other.values()))

    def annotate(self, path: str) -> Sample:
        """The labels of its row."""
        row = self._rows.get(self._other.get(path, path))
        if row is None:
            return Sample(path, problem=f"not listed in {self._name}")
        values = dict(zip(self._columns, row, strict=True))
        return Sample(path, labels={column: values[column] for column in self.labels})

    def lack(self, path: str) -> Sample:
        """A row without a file."""
        return Sample(printable(path), problem=f"listed in {self._name}, but the file is absent")


def read_csv(content: bytes, name: str, source: str, wanted: tuple[str, ...] | None) -> tuple[tuple[str, ...], Rows]:
    """Label columns, and file name -> classes.

    The file-name column is the one called as in `FILE_COLUMNS`, else the first. Comma, semicolon or tab separate.

    Raises:
        FaceForgeError: no text, no header, no rows, a file listed twice, or a wanted column is not there.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FaceForgeError(f"label file {name} cannot be read as UTF-8: {error}") from None
    lines = text.splitlines()
    header = lines[0] if lines else ""
    table = csv.DictReader(lines, delimiter=max(",;\t", key=header.count), restkey="")
    columns = [column.strip() for column in table.fieldnames or ()]
    if len(columns) < 2 or len(set(columns)) < len(columns):
        raise FaceForgeError(f"label file {name} needs a header: a file-name column and label columns")
    table.fieldnames = columns
    key = _key(columns)
    labels = choose_labels(source, [column for column in columns if column != key], wanted)
    rows: Rows = {}
    try:
        for number, row in enumerate(table, 2):
            _add(rows, row[key], (class_name(row[column]) for column in labels), name, number)
    except csv.Error as error:
        raise FaceForgeError(f"label file {name}, row {number + 1}: {error}") from None
    if not rows:
        raise FaceForgeError(f"label file {name} has a header but no rows")
    return labels, rows


def read_parquet(
    content: bytes, name: str, source: str, wanted: tuple[str, ...] | None
) -> tuple[tuple[str, ...], Rows]:
    """As `read_csv`, from the bytes of a Parquet file; see `columns.py` for what can be a label."""
    try:
        table = open_parquet_file(io.BytesIO(content), name).read()
        for column, values in zip(table.column_names, table.columns, strict=True):
            for chunk in values.chunks:
                check_text(chunk, column, name)
    except (OSError, pa.ArrowException) as error:
        raise FaceForgeError(f"label file {name} is not readable Parquet: {first_line(error)}") from None
    key = _key(table.column_names)
    there = from_schema(table.schema, {key})
    chosen = choose(source, there, wanted, lambda column: leaf(table.column(column.path[0]), column).chunks)
    rows: Rows = {}
    parts = table.select(list(dict.fromkeys([key, *(column.path[0] for column in chosen)])))
    for number, row in enumerate(parts.to_pylist(), 1):
        _add(rows, row[key], (column.read(row) for column in chosen), name, number)
    if not rows:
        raise FaceForgeError(f"label file {name} has no rows")
    return tuple(column.name for column in chosen), rows


def _key(columns: list[str]) -> str:
    return next((name for name in FILE_COLUMNS if name in columns), columns[0])


def _add(rows: Rows, file: object, labels: Iterable[str | None], name: str, number: int) -> None:
    path = str(file or "").strip().removeprefix("./").replace("\\", "/")
    if path in rows:
        raise FaceForgeError(f"label file {name} lists {path} twice (again in row {number}); keep one")
    rows[path] = tuple(labels)


def _match(paths: list[str], rows: Rows) -> dict[str, str]:
    """Path -> name of its row, for those paths that are in no row as they are."""
    found: dict[str, str] = {}
    forms: tuple[Callable[[str], str], ...] = (lambda p: PurePosixPath(p).name, lambda p: PurePosixPath(p).stem)
    files, names = [path for path in paths if path not in rows], list(rows.keys() - set(paths))
    for form in forms:
        if not files or not names:
            break
        short = Counter(form(path) for path in files)
        one = {form(name): name for name in names}
        clear = {key for key, count in Counter(form(name) for name in names).items() if count == 1}
        found |= {path: one[form(path)] for path in files if form(path) in clear and short[form(path)] == 1}
        files = [path for path in files if path not in found]
        names = list(set(names) - set(found.values()))
    return found
