"""Label requests: the ways in which callers name labels, translated to the class codes that networks take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

Label = str | int | bool | float
LabelRequest = dict[str, Any]  # column -> the class of all images (a `Label`), or a list with one class per image

_SPELLINGS = {True: ("1", "true", "yes"), False: ("0", "false", "no", "-1")}  # "-1": CelebA's "no"


def label_request(
    vocabularies: Mapping[str, Sequence[str]],
    label: Label | None,
    labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None,
    attributes: Mapping[str, Label] | None,
) -> LabelRequest:
    """The label request that a caller's arguments amount to; unspecified columns are absent from it.

    Args:
        vocabularies: the model's label columns -> classes.
        label: the class of all images, for a model of one column.
        labels: one class per image, for a model of one column; or column -> one class per image.
        attributes: column -> the class of all images.

    Raises:
        FaceForgeError: an unknown column, or no column is named and the model does not have exactly one.
    """
    request: LabelRequest = dict(attributes or {})
    if isinstance(labels, Mapping):
        request.update({column: list(classes) for column, classes in labels.items()})
    elif labels is not None:
        request[_only_column(vocabularies)] = [labels] if isinstance(labels, str) else list(labels)
    if label is not None:
        request[_only_column(vocabularies)] = label
    for column in request:
        if column not in vocabularies:
            raise FaceForgeError(f"the model has no label column {column!r}; it has {_listed(vocabularies)}")
    return request


def label_codes(
    vocabularies: Mapping[str, Sequence[str]], request: LabelRequest, count: int, start: int = 0
) -> NDArray[np.int32]:
    """Class codes int32 (count, columns); unspecified columns cycle through all combinations, from the `start`-th.

    Raises:
        FaceForgeError: an unknown class.
    """
    unspecified = [column for column in vocabularies if column not in request]
    period = math.prod(len(vocabularies[column]) for column in unspecified)
    turn = np.array([(start + row) % period for row in range(count)], dtype=object)  # may exceed 64 bits
    chosen: dict[str, Any] = {}
    for column in reversed(unspecified):  # the last column changes fastest
        chosen[column] = turn % len(vocabularies[column])
        turn = turn // len(vocabularies[column])
    for column, classes in request.items():
        vocabulary = _Vocabulary(column, vocabularies[column])
        chosen[column] = (
            [vocabulary.code(name) for name in classes] if isinstance(classes, list) else vocabulary.code(classes)
        )
    table = [np.broadcast_to(np.asarray(chosen[column], np.int32), (count,)) for column in vocabularies]
    return np.stack(table, axis=1) if table else np.zeros((count, 0), np.int32)


class _Vocabulary:
    """Class codes of a column by any spelling; each spelling is resolved once."""

    def __init__(self, column: str, classes: Sequence[str]) -> None:
        self._column, self._classes = column, classes
        self._codes: dict[Any, int] = {name: code for code, name in enumerate(classes)}

    def code(self, label: Any) -> int:
        key = (
            label if isinstance(label, str) else (type(label), label)
        )  # True and 1 are equal as keys, but are different requests
        if key not in self._codes:
            self._codes[key] = self._resolve(label)
        return self._codes[key]

    def _resolve(self, label: Any) -> int:
        if not isinstance(label, str):
            lower = {name.lower(): code for code, name in reversed(list(enumerate(self._classes)))}
            for spelling in _spellings(label):
                if spelling in lower:
                    return lower[spelling]
        close = get_close_matches(str(label), self._classes, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise FaceForgeError(
            f"{self._column} = {label!r} is not a class of the model; classes: {_listed(self._classes[:50])}{hint}"
        )


def _spellings(label: Any) -> tuple[str, ...]:
    """Class names that a number or truth value may stand for, the likeliest first."""
    if isinstance(label, bool | np.bool_):
        return _SPELLINGS[bool(label)]
    if isinstance(label, int | float | np.integer | np.floating) and float(label).is_integer():
        return (str(int(label)), *_SPELLINGS.get(bool(label), ())) if label in (0, 1) else (str(int(label)),)
    return ()


def _only_column(vocabularies: Mapping[str, Sequence[str]]) -> str:
    if len(vocabularies) != 1:
        raise FaceForgeError(
            f"the model has the label columns {_listed(vocabularies)}; name the column: attributes={{column: class}}"
            if vocabularies
            else "the model is unconditional: it takes no labels"
        )
    return next(iter(vocabularies))


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    return ", ".join(names) or "none"
