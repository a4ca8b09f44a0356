"""Label columns of structured rows: plain values, named integers, structs, multi-hot lists, lists of classes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from faceforge.data.sources.classes import choose_labels, class_name
from faceforge.errors import FaceForgeError

USUAL_LABEL = "label"
TEXT = (pa.types.is_string, pa.types.is_large_string)  # checks for `has_type`
_NOT_PHOTOGRAPHS = re.compile(r"mask|cond|segm|depth|annot|label", re.IGNORECASE)
_SHOWN = 40  # columns named in a note
_MAX_MEMBERS = 200  # classes in lists beyond this are words or names


@dataclass(frozen=True)
class Column:
    """A label column, and how to read its class from a row.

    Attributes:
        name: name of the label column.
        path: keys from the row to the value.
        names: names of integer classes.
        many: whether the value is a list, which `choose` splits into binary columns.
        position: position of this label in a multi-hot list.
        member: class of this label in a list of classes.
    """

    name: str
    path: tuple[str, ...]
    names: tuple[str, ...] = ()
    many: bool = False
    position: int | None = None
    member: str | None = None

    @property
    def listed(self) -> bool:
        """Whether its values come from lists."""
        return self.many or self.position is not None or self.member is not None

    def read(self, row: Mapping[str, Any]) -> str | None:
        """The class of a row; None if it has none."""
        value: Any = row
        for key in self.path:
            value = None if value is None else value[key]
        return self.classify(value)

    def classify(self, value: Any) -> str | None:
        """The class of a value; None if it has none."""
        if value is None:
            return None
        if self.position is not None:
            return class_name(bool(value[self.position])) if len(value) > self.position else None
        if self.member is not None:
            return class_name(self.member in {self._class(item) for item in value})
        return self._class(value)

    def _class(self, value: Any) -> str | None:
        if self.names and isinstance(value, int):
            return self.names[value] if 0 <= value < len(self.names) else None
        return class_name(value)


def choose(
    source: str,
    existing: Sequence[Column],
    requested: Sequence[str] | None,
    lists: Callable[[Column], Iterable[pa.Array]],
) -> tuple[Column, ...]:
    """The requested columns (None = all).

    A column of lists becomes binary columns: `tags_0`, `tags_1`... for a multi-hot list, `tags_sunny`... for a list of
    classes; `tags` requests them all.

    Args:
        source: its name, for messages.
        existing: the columns of the source.
        requested: names of columns.
        lists: yields the values of a column of lists as arrays.

    Raises:
        FaceForgeError: see `faceforge.data.sources.classes.choose_labels`.
    """
    by_name = {column.name: column for column in existing}
    names = list(by_name) if requested is None else list(requested)
    for column in existing:
        if column.many and any(name == column.name or name.startswith(f"{column.name}_") for name in names):
            parts = _split_lists(source, column, lists(column))
            by_name.update({part.name: part for part in parts})
            names = [name for each in names for name in ([p.name for p in parts] if each == column.name else [each])]
    known = [name for name, column in by_name.items() if not column.many or name not in names]
    return tuple(by_name[name] for name in choose_labels(source, known, names))


def default_labels(
    existing: Sequence[Column], requested: Sequence[str] | None, extra: Sequence[str] = ()
) -> tuple[Sequence[str], tuple[str, ...]]:
    """The label columns of a source that has other columns too: the requested ones, or else `label` and `extra`.

    Returns:
        the names, and a note on other columns that could be labels.
    """
    if requested is not None:
        return requested, ()
    taken = tuple(column.name for column in existing if column.name in {USUAL_LABEL, *extra})
    others = [column.name for column in existing if column.name not in taken]
    shown = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
    return taken, ((f"ingest.labels can name more columns: {shown}",) if others else ())


def choose_image_column(name: str, columns: Sequence[str], requested: str) -> tuple[str, tuple[str, ...]]:
    """The image column to read (`image`, or else the first that is not a mask), and a note if there are several.

    Raises:
        FaceForgeError: `ingest.image_column` names none of them.
    """
    if requested:
        if requested not in columns:
            raise FaceForgeError(
                f"ingest.image_column = {requested!r} is not an image column of {name}: {', '.join(columns)}"
            )
        return requested, ()
    photographs = [column for column in columns if not _NOT_PHOTOGRAPHS.search(column)] or columns
    chosen = "image" if "image" in columns else photographs[0]
    others = ", ".join(column for column in columns if column != chosen)
    note = f"images are read from column {chosen!r}; ingest.image_column can name another: {others}"
    return chosen, ((note,) if others else ())


def from_schema(schema: pa.Schema, skip: Iterable[str]) -> list[Column]:
    """The columns of a table that can be labels, without those to skip."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        features = {}
    skipped = set(skip)
    columns: list[Column] = []
    for field in schema:
        if field.name not in skipped:
            _add(columns, (field.name,), field.type, features.get(field.name) if isinstance(features, dict) else None)
    return unambiguous(columns)


def unambiguous(columns: list[Column]) -> list[Column]:
    """The same columns; if two fields of structs have one name, the names of the structs are put before it."""
    counts = Counter(column.name for column in columns)
    return [replace(c, name="_".join(c.path)) if counts[c.name] > 1 and len(c.path) > 1 else c for c in columns]


def leaf(values: Any, column: Column) -> Any:
    """The Arrow array of a column, from the array of its top-level field."""
    for key in column.path[1:]:
        values = pc.struct_field(values, key)
    return values


def has_type(kind: pa.DataType, *checks: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type, or for a dictionary that of its values, passes one of the checks."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(check(kind) for check in checks)


def _add(columns: list[Column], path: tuple[str, ...], kind: pa.DataType, feature: Any) -> None:
    if pa.types.is_struct(kind):
        for part in kind:
            _add(columns, (*path, part.name), part.type, feature.get(part.name) if isinstance(feature, dict) else None)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if _is_value(kind.value_type):
            inner = feature.get("feature", feature) if isinstance(feature, dict) else feature
            columns.append(Column(path[-1], path, _names(inner), many=True))
    elif _is_value(kind):
        columns.append(Column(path[-1], path, _names(feature)))


def _is_value(kind: pa.DataType) -> bool:
    return has_type(kind, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, *TEXT)


def _names(feature: Any) -> tuple[str, ...]:
    """Class names of a Hugging Face ClassLabel, or ()."""
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _split_lists(source: str, column: Column, pieces: Iterable[pa.Array]) -> list[Column]:
    lengths: set[int | None] = set()
    items: set[Any] = set()
    for lists in pieces:
        lengths.update(pc.list_value_length(lists).unique().to_pylist())
        items.update(pc.list_flatten(lists).unique().to_pylist())
    lengths.discard(None)
    binary = all(item in (0, 1) for item in items)
    if binary and len(lengths) == 1 and not column.names:
        length = lengths.pop() or 0
        return [replace(column, name=f"{column.name}_{n}", many=False, position=n) for n in range(length)]
    classes = {column._class(item) for item in items} - {None}
    if len(classes) > _MAX_MEMBERS:
        raise FaceForgeError(
            f"{source}: the lists in {column.name!r} hold {len(classes):,} different values, no classes"
        )
    return [
        replace(column, name=f"{column.name}_{name}", many=False, member=name) for name in sorted(map(str, classes))
    ]
