"""Reads label tables in JSON and JSON Lines, in the shapes that people and pandas write."""

from __future__ import annotations

import io
import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

import pyarrow as pa

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.classes import class_name
from faceforge.data.sources.files import suffix
from faceforge.data.sources.splits import split_called
from faceforge.errors import FaceForgeError, first_line

_IMAGE_OBJECTS = frozenset({"image", "img", "photo", "picture", "file"})
_NAMES_IN_OBJECTS = ("path", "file_path", "file_name", "filename", "file", "name", "url", "src")
_Row = dict[str, Any]


def read_json(text: str, name: str, known: Container[str] = ()) -> pa.Table:
    """The table in the text of a JSON or JSON Lines file.

    Shapes: one object a line; a list of objects or of pairs [name, label]; an object that has one such list, or one for
    each split; an object that maps images to labels, or classes to images; pandas' `columns`, `index` and `split`.

    Args:
        text: content of the file.
        name: name of the file; its suffix tells JSON from JSON Lines.
        known: names of images without suffix.

    Raises:
        FaceForgeError: it is not JSON, or has another shape.
    """
    try:
        if text.lstrip().startswith("[") or suffix(name) == ".json":
            content = json.loads(text)
        else:
            content = [json.loads(line) for line in io.StringIO(text) if line.strip()]
    except (ValueError, RecursionError) as error:
        raise FaceForgeError(f"label file {name} is not readable JSON: {first_line(error)}") from None
    rows = _rows_of_object(content, known) if isinstance(content, dict) else _rows_of_list(content)
    if not rows:
        raise FaceForgeError(f"label file {name} holds no objects with a file name and labels")
    return table_of(map(_with_plain_name, rows))


def table_of(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table of records, whose columns are all keys that occur; values of mixed types become text."""
    rows = list(records)
    names = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _rows_of_list(content: Any) -> list[_Row] | None:
    """The objects in a list, or pairs of a name and a label as objects; None if it is neither."""
    if not isinstance(content, list):
        return None
    if all(isinstance(row, dict) for row in content):
        return content
    if all(isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) for row in content):
        return [_row(key, value) for key, value in content]
    return None


def _rows_of_object(content: _Row, known: Container[str]) -> list[_Row] | None:
    """The rows in an object of any of the shapes of `read_json`; None if it has none of them."""
    values = list(content.values())
    if values and all(_is_name(key, known) for key in content) and not any(map(_names_an_image, values)):
        return [_row(key, value) for key, value in content.items()]
    if values and all(map(split_called, content)) and all(isinstance(_rows_of_list(value), list) for value in values):
        return [{**row, "split": key} for key, value in content.items() for row in _rows_of_list(value) or ()]
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return [dict(zip(map(str, content["columns"]), row, strict=False)) for row in content["data"]]
    if values and all(isinstance(value, dict) for value in values):
        return _rows_of_objects(content)
    names = [name for value in values if isinstance(value, list) for name in value]
    if names and all(isinstance(name, str) and _is_name(name, known) for name in names):
        groups = {key: value for key, value in content.items() if isinstance(value, list)}
        return [{"file_name": name, "label": key} for key, value in groups.items() for name in value]
    lists = [value for value in values if isinstance(value, list)]
    return _rows_of_list(lists[0]) if len(lists) == 1 else None


def _rows_of_objects(content: Mapping[str, _Row]) -> list[_Row]:
    """An object for each row, or one for each column that maps the same keys to values."""
    inner = [set(value) for value in content.values()]
    if len(inner[0]) > len(inner) and all(keys == inner[0] for keys in inner):
        return [{column: value[key] for column, value in content.items()} for key in next(iter(content.values()))]
    return [{"id": key, **value} for key, value in content.items()]


def _row(name: str, value: Any) -> _Row:
    return {"file_name": name, **(value if isinstance(value, dict) else {"label": value})}


def _names_an_image(value: Any) -> bool:
    """Whether a value is an object with the name of an image, so that its key is only a number."""
    texts = _with_plain_name(value).values() if isinstance(value, dict) else ()
    return any(isinstance(text, str) and suffix(text) in IMAGE_SUFFIXES for text in texts)


def _is_name(text: str, known: Container[str]) -> bool:
    """Whether a text is the name of an image."""
    return suffix(text) in IMAGE_SUFFIXES or text.rpartition("/")[2] in known


def _with_plain_name(row: _Row) -> _Row:
    """The row with the name of its image as text, where it is in an object: `{"image": {"path": "1.png"}}`."""
    nested = {key: value for key, value in row.items() if key.lower() in _IMAGE_OBJECTS and isinstance(value, dict)}
    names = {
        key: next((value[n] for n in _NAMES_IN_OBJECTS if isinstance(value.get(n), str)), None)
        for key, value in nested.items()
    }
    return row | {key: name for key, name in names.items() if name}


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):  # of mixed types
        plain = (json.dumps(value) if isinstance(value, list | dict) else class_name(value) for value in values)
        return pa.array(list(plain), pa.string())
