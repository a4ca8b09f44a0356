"""Label columns of structured rows: plain values, named integers, structs, multi-hot lists, lists of classes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from faceforge.data.sources.samples import choose_labels, class_name
from faceforge.errors import FaceForgeError

USUAL_LABEL = "label"
_MAX_MEMBERS = 200  # classes in lists beyond this are words or names


@dataclass(frozen=True)
class Column:
    """One label column, and how to read it out of a row.

    Attributes:
        name: of the label.
        path: keys that lead from the row to the value.
        names: of integer classes.
        many: the value is a list, which `choose` takes apart into columns of yes and no.
        position: this label's place in a multi-hot list.
        member: this label's class in a list of classes.
    """

    name: str
    path: tuple[str, ...]
    names: tuple[str, ...] = ()
    many: bool = False
    position: int | None = None
    member: str | None = None

    @property
    def listed(self) -> bool:
        """Whether its values are lists."""
        return self.many or self.position is not None or self.member is not None

    def read(self, row: Mapping[str, Any]) -> str | None:
        """The class, or None."""
        value: Any = row
        for key in self.path:
            value = None if value is None else value[key]
        return self.classify(value)

    def classify(self, value: Any) -> str | None:
        """The class that a value stands for, or None where there is none."""
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
    source: str, there: Sequence[Column], wanted: Sequence[str] | None, lists: Callable[[Column], Iterable[pa.Array]]
) -> tuple[Column, ...]:
    """The columns that are wanted (None = all).

    A column of lists becomes columns of yes and no: `tags_0`, `tags_1`... for a multi-hot list, `tags_sunny`... for
    a list of classes; `tags` names them all.

    Args:
        source: its name, for messages.
        there: what the source has.
        wanted: names.
        lists: gives all values of a column of lists, piece by piece.

    Raises:
        FaceForgeError: see `faceforge.data.sources.samples.choose_labels`.
    """
    by_name = {column.name: column for column in there}
    asked = list(by_name) if wanted is None else list(wanted)
    for column in there:
        if column.many and any(name == column.name or name.startswith(f"{column.name}_") for name in asked):
            parts = _take_apart(source, column, lists(column))
            by_name.update({part.name: part for part in parts})
            asked = [name for each in asked for name in ([p.name for p in parts] if each == column.name else [each])]
    known = [name for name, column in by_name.items() if not column.many or name not in asked]
    return tuple(by_name[name] for name in choose_labels(source, known, asked))


def usual(there: Sequence[Column], wanted: Sequence[str] | None) -> tuple[Sequence[str], tuple[str, ...]]:
    """What to take of a source that mixes labels with other columns when nothing is named: the column `label`.

    Returns:
        the names, and a note on what else could be a label.
    """
    if wanted is not None:
        return wanted, ()
    taken = (USUAL_LABEL,) if any(column.name == USUAL_LABEL for column in there) else ()
    others = [column.name for column in there if column.name not in taken]
    shown = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
    return taken, ((f"ingest.labels can name more columns: {shown}",) if others else ())


_SHOWN = 40


def from_schema(schema: pa.Schema, skip: Iterable[str]) -> list[Column]:
    """What can be a label in a table, besides the columns to skip."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        features = {}
    left_out = set(skip)
    found: list[Column] = []
    for field in schema:
        if field.name not in left_out:
            _add(found, (field.name,), field.type, features.get(field.name) if isinstance(features, dict) else None)
    return unambiguous(found)


def unambiguous(columns: list[Column]) -> list[Column]:
    """The same columns; where two inside structs have one name, they get the names of their structs before it."""
    counts = Counter(column.name for column in columns)
    return [replace(c, name="_".join(c.path)) if counts[c.name] > 1 and len(c.path) > 1 else c for c in columns]


def leaf(values: Any, column: Column) -> Any:
    """The arrow array of a column out of that of its top-level field."""
    for key in column.path[1:]:
        values = pc.struct_field(values, key)
    return values


def _add(found: list[Column], path: tuple[str, ...], kind: pa.DataType, feature: Any) -> None:
    if pa.types.is_struct(kind):
        for part in kind:
            _add(found, (*path, part.name), part.type, feature.get(part.name) if isinstance(feature, dict) else None)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if _is_value(kind.value_type):
            inner = feature.get("feature", feature) if isinstance(feature, dict) else feature
            found.append(Column(path[-1], path, _names(inner), many=True))
    elif _is_value(kind):
        found.append(Column(path[-1], path, _names(feature)))


def _is_value(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    return any(check(kind) for check in checks)


def _names(feature: Any) -> tuple[str, ...]:
    """Names of a Hugging Face ClassLabel, or ()."""
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _take_apart(source: str, column: Column, pieces: Iterable[pa.Array]) -> list[Column]:
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
