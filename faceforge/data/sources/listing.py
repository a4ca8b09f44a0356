"""Label tables, and the assignment of their rows to image files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceforge.data.preprocess.crop import Box
from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.columns import TEXT, Column, from_schema, has_type, leaf
from faceforge.data.sources.files import Files, suffix
from faceforge.data.sources.matching import clean_name, identity_key, match_names
from faceforge.errors import FaceForgeError

FILE_COLUMNS = frozenset(
    {"file_name", "filename", "file", "image", "image_id", "path", "img", "image_name", "img_name", "image_path"}
    | {"img_path", "filepath", "file_path", "name", "id", "image_file", "img_file", "images", "photo", "picture"}
)
_MAY_BE_NAMES = (*TEXT, pa.types.is_integer)
_NUMBERS = frozenset({"id", "name", "index"})  # file columns that are often numbers or names of something else
_SAMPLE = 100  # rows that show whether a column can hold the names of images


@dataclass
class LabelTable:
    """A table with one row for each image.

    Attributes:
        name: for messages: the path of the file, or the format and its files.
        data: its rows.
        folder: the folder of the table, to which its names may be relative.
        key: the column of image names; '' = the one whose values fit the images.
        documents: the documents that it was read from.
        stamps: other files that it was read from; see `Source.stamps`.
        notes: on how it was read.
        vocabularies: column -> classes in their order, where it is known.
        boxes: for each row, the box of the largest object, see `Sample.box`; empty if there are no boxes.
    """

    name: str
    data: pa.Table
    folder: str = ""
    key: str = ""
    documents: tuple[str, ...] = ()
    stamps: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    vocabularies: dict[str, list[str]] = field(default_factory=dict)
    boxes: Sequence[Box | None] = ()


class Listing:
    """A table whose rows are assigned to images.

    Args:
        table: the table.
        files: the images.

    Attributes:
        rows: path of an image -> number of its row.
        difference: how names differ from their files, in words.
        columns: what can be a label.

    Raises:
        FaceForgeError: an image is listed twice with different values.
    """

    def __init__(self, table: LabelTable, files: Files) -> None:
        self.table = table
        keys = {identity_key(path) for path in files.paths}
        candidates = [table.key] if table.key else _candidates(table.data, keys)
        self.key = candidates[0] if candidates else table.data.column_names[0]
        self.rows: dict[str, int] = {}
        self.difference = ""
        for column in candidates:
            names = [None if value is None else str(value) for value in table.data.column(column).to_pylist()]
            rows, difference = match_names(_without_repeats(table, column, names), files.paths, table.folder)
            if len(rows) > len(self.rows):
                self.key, self.rows, self.difference = column, rows, difference
            if len(self.rows) * 2 >= min(len(names), len(files.paths)):
                break
        self.columns = from_schema(table.data.schema, {self.key})

    def names(self) -> list[str]:
        """The names of all rows."""
        return [clean_name(str(name)) for name in self.table.data.column(self.key).to_pylist() if name]

    def values(self, column: Column) -> Values:
        """The classes of a column."""
        return Values(leaf(self.table.data.column(column.path[0]), column), column)


class Values:
    """The classes of one column of a table, as a number for each row."""

    def __init__(self, array: pa.ChunkedArray, column: Column) -> None:
        combined = array.unify_dictionaries().combine_chunks()
        if column.listed or pa.types.is_nested(combined.type):
            values = [column.classify(value) for value in combined.to_pylist()]
            self.classes = list(dict.fromkeys([None, *values]))
            codes = {value: code for code, value in enumerate(self.classes)}
            self._codes: NDArray[Any] = np.array([codes[value] for value in values], np.int32)
            return
        encoded = combined if pa.types.is_dictionary(combined.type) else combined.dictionary_encode()
        self.classes = [None, *(column.classify(value) for value in encoded.dictionary.to_pylist())]
        self._codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32) + 1

    def __getitem__(self, row: int) -> str | None:
        """The class of a row, or None."""
        return self.classes[self._codes[row]]

    def counts(self) -> Counter[str | None]:
        """Class -> number of rows."""
        counts = Counter[str | None]()
        for value, n in zip(self.classes, np.bincount(self._codes, minlength=len(self.classes)).tolist(), strict=True):
            counts[value] += n
        return counts


def _candidates(data: pa.Table, keys: set[str]) -> list[str]:
    """Columns that may hold the names of images, the likeliest first.

    Names with the suffix of an image come before others: numbers of rows can look like the names of numbered images.
    """
    step = max(data.num_rows // _SAMPLE, 1)
    texts = [f.name for f in data.schema if has_type(f.type, *_MAY_BE_NAMES)]
    values = {name: [str(v) for v in data.column(name)[::step].to_pylist() if v is not None] for name in texts}

    def rank(name: str) -> tuple[bool, bool, bool]:
        plain = name.strip().lower().replace(" ", "_")
        bare = not any(suffix(value) in IMAGE_SUFFIXES for value in values[name])
        return bare, plain not in FILE_COLUMNS, plain in _NUMBERS

    ordered = sorted(texts, key=rank)
    plausible = [name for name in ordered if any(identity_key(value) in keys for value in values[name])]
    return plausible or ordered[:1]


def _without_repeats(table: LabelTable, key: str, names: list[str | None]) -> list[str | None]:
    """The names with None for later rows that are equal; a FaceForgeError if they differ."""
    if not table.key and key.strip().lower() not in FILE_COLUMNS:
        return names  # a column of another meaning may repeat its values
    first: dict[str, int] = {}
    kept = list(names)
    for row, name in enumerate(names):
        if name is None:
            continue
        name = clean_name(name)
        if name not in first:
            first[name] = row
        elif table.data.slice(row, 1).to_pylist() == table.data.slice(first[name], 1).to_pylist():
            kept[row] = None
        else:
            raise FaceForgeError(f"label file {table.name} lists {name} twice (again in row {row + 1}); keep one")
    return kept
