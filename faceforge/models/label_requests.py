"""What labels a caller wants, in the many ways of saying it, as the class numbers that networks take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

Label = str | int | bool | float
Wish = dict[str, Any]  # column -> the class of all images (a `Label`), or a list with one per image

_SPELLINGS = {True: ("1", "true", "yes"), False: ("0", "false", "no", "-1")}  # "-1": CelebA's "no"


def choose_columns(
    vocabularies: Mapping[str, Sequence[str]],
    label: Label | None,
    labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None,
    attributes: Mapping[str, Label] | None,
) -> Wish:
    """Column -> the class of all images, or a list with one class per image; columns that are left open are absent.

    Args:
        vocabularies: the model's label columns and their classes.
        label: the class of all images, for a model of one column.
        labels: one class per image, for a model of one column; or column -> one class per image.
        attributes: column -> the class of all images.

    Raises:
        FaceForgeError: an unknown column, or a model that has not just one.
    """
    wish: Wish = dict(attributes or {})
    if isinstance(labels, Mapping):
        wish.update({column: list(classes) for column, classes in labels.items()})
    elif labels is not None:
        wish[_only_column(vocabularies)] = [labels] if isinstance(labels, str) else list(labels)
    if label is not None:
        wish[_only_column(vocabularies)] = label
    for column in wish:
        if column not in vocabularies:
            raise FaceForgeError(f"the model has no label column {column!r}; it has {_listed(vocabularies)}")
    return wish


def label_codes(vocabularies: Mapping[str, Sequence[str]], wish: Wish, count: int, start: int = 0) -> NDArray[np.int32]:
    """Class numbers int32 (count, columns); open columns take all combinations in turn, from the `start`-th.

    Raises:
        FaceForgeError: an unknown class.
    """
    left = [column for column in vocabularies if column not in wish]
    period = math.prod(len(vocabularies[column]) for column in left)
    turn = np.array([(start + row) % period for row in range(count)], dtype=object)  # may exceed 64 bits
    chosen: dict[str, Any] = {}
    for column in reversed(left):  # the last column turns fastest
        chosen[column] = turn % len(vocabularies[column])
        turn = turn // len(vocabularies[column])
    for column, classes in wish.items():
        known = _Known(column, vocabularies[column])
        chosen[column] = [known.code(name) for name in classes] if isinstance(classes, list) else known.code(classes)
    table = [np.broadcast_to(np.asarray(chosen[column], np.int32), (count,)) for column in vocabularies]
    return np.stack(table, axis=1) if table else np.zeros((count, 0), np.int32)


class _Known:
    """The classes of a column; each spelling is looked up once."""

    def __init__(self, column: str, classes: Sequence[str]) -> None:
        self._column, self._classes = column, classes
        self._codes: dict[Any, int] = {name: code for code, name in enumerate(classes)}

    def code(self, asked: Any) -> int:
        key = asked if isinstance(asked, str) else (type(asked), asked)  # True and 1 are equal, but not the same wish
        if key not in self._codes:
            self._codes[key] = self._found(asked)
        return self._codes[key]

    def _found(self, asked: Any) -> int:
        if not isinstance(asked, str):
            lower = {name.lower(): code for code, name in reversed(list(enumerate(self._classes)))}
            for spelling in _spellings(asked):
                if spelling in lower:
                    return lower[spelling]
        close = get_close_matches(str(asked), self._classes, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise FaceForgeError(
            f"{self._column} = {asked!r} is not a class of the model; classes: {_listed(self._classes[:50])}{hint}"
        )


def _spellings(asked: Any) -> tuple[str, ...]:
    """How a number or truth value may be written as a class, the likeliest first."""
    if isinstance(asked, bool | np.bool_):
        return _SPELLINGS[bool(asked)]
    if isinstance(asked, int | float | np.integer | np.floating) and float(asked).is_integer():
        return (str(int(asked)), *_SPELLINGS.get(bool(asked), ())) if asked in (0, 1) else (str(int(asked)),)
    return ()


def _only_column(vocabularies: Mapping[str, Sequence[str]]) -> str:
    if len(vocabularies) != 1:
        raise FaceForgeError(
            f"the model has the label columns {_listed(vocabularies)}; say which: attributes={{column: class}}"
            if vocabularies
            else "the model is unconditional: it takes no labels"
        )
    return next(iter(vocabularies))


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    return ", ".join(names) or "none"
