"""Label values as class names, and the checks and conversions that all sources apply to them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import RESERVED_COLUMNS
from faceforge.data.sources.bins import as_number, fit_bins
from faceforge.errors import FaceForgeError

MISSING_CLASS = "unknown"
MAX_CLASSES = 1000  # a column with more values holds measurements, names or texts, not classes
_MISSING = frozenset({"", "nan", "null", "none", "nat", "<na>", "#n/a", "nil"})
_DOUBTFUL = frozenset({"na", "n/a", "?", "-", "--", ".", "missing", "undefined", *_MISSING} - {""})
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_MANY_NUMBERS = 12  # numbers with more different values are measurements rather than codes of classes
_FEW = 10  # values that are few enough for classes, however few the images
_WITHOUT = "name others with ingest.labels, or set `ingest.labels=` to go without labels"


def class_name(value: Any) -> str | None:
    """A label value as text; None where it is missing: null, NaN, an empty text, or the words nan, null and none.

    Whole floats lose their `.0`, also as text (integers of a column with gaps); booleans become `1` and `0`.
    """
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value).strip()
    if text.lower() in _MISSING:
        return None
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def choose_labels(name: str, existing: Sequence[str], requested: Sequence[str] | None) -> tuple[str, ...]:
    """The label columns to keep (None = all that exist).

    Raises:
        FaceForgeError: a requested column does not exist (the message lists those that do), or has a reserved name.
    """
    requested = existing if requested is None else requested
    for column in requested:
        if column not in existing:
            known = (
                f"it has {', '.join(existing)}"
                if existing
                else "it has none; give a table, a pattern or a sub-folder per class"
            )
            raise FaceForgeError(f"ingest.labels names {column!r}, but {name} has no such label column: {known}")
        if column in RESERVED_COLUMNS:
            raise FaceForgeError(f"{name}: a label column cannot be called {column!r}; rename it in the source")
    return tuple(dict.fromkeys(requested))


class LabelRules:
    """Which label columns of a source are kept, and how their values become the stored classes.

    Missing values are rejected or become a class (`ingest.missing`), numbers are divided into bins (`ingest.bins`).
    Where `ingest.labels` is unset, columns that cannot be labels are left out with a note.

    Args:
        name: name of the source, for messages.
        counts: label column -> value -> number of images (of those whose labels are known).
        config: settings of ingest.
        vocabularies: label column -> classes in their order, where it is known.

    Attributes:
        columns: the label columns that are kept.
        vocabularies: those of the columns that are kept, with the bins in ascending order.
        notes: what was left out, what is odd about the classes, and the edges of bins.

    Raises:
        FaceForgeError: a column has fewer than two classes or too many, or `ingest.bins` does not fit.
    """

    def __init__(
        self,
        name: str,
        counts: Mapping[str, Counter[str | None]],
        config: IngestConfig,
        vocabularies: Mapping[str, list[str]] | None = None,
    ) -> None:
        self._missing = MISSING_CLASS if config.missing == "class" else None
        self._bins = fit_bins(name, counts, config.bins)
        classes = {column: {self._class(column, value) for value in counts[column]} - {None} for column in counts}
        kept, notes = list(counts), []
        if config.labels is None:
            large = [column for column in kept if len(classes[column]) > MAX_CLASSES]
            kept = [column for column in kept if column not in large]
            if large:
                listed = ", ".join(f"{column} ({len(classes[column]):,})" for column in large)
                notes.append(f"not taken as labels, because they have too many values: {listed}")
            constant = [column for column in kept if len(classes[column]) < 2]
            if constant and len(constant) < len(kept):
                kept = [column for column in kept if column not in constant]
                notes.append(f"not taken as labels, because all images have the same value: {', '.join(constant)}")
        for column in kept:
            check_classes(name, column, classes[column])
            if column not in self._bins:
                _check_numbers(name, column, counts[column], config.min_class)
            notes += _doubts(column, classes[column])
        binned = [column for column in kept if column in self._bins]
        notes += [f"{column} is divided at {_listed(self._bins[column].edges)}" for column in binned]
        self.columns, self.notes = tuple(kept), tuple(notes)
        self.vocabularies = {column: list(names) for column, names in (vocabularies or {}).items() if column in kept}
        self.vocabularies |= {column: self._bins[column].classes for column in binned}

    def apply(self, labels: Mapping[str, str | None]) -> dict[str, str | None]:
        """The stored classes of one image, from its values in the source."""
        return {column: self._class(column, labels[column]) for column in self.columns if column in labels}

    def _class(self, column: str, value: str | None) -> str | None:
        if column in self._bins:
            value = self._bins[column].class_of(value)
        return self._missing if value is None else value


def identifying_columns(
    counts: Mapping[str, Counter[str | None]], rows: int, exempt: Iterable[str] = ()
) -> tuple[list[str], tuple[str, ...]]:
    """The columns whose values differ between almost all images, which makes them names or measurements; and a note.

    Args:
        counts: column -> value -> number of rows.
        rows: number of rows.
        exempt: columns that are labels all the same.
    """
    most = min(max(rows // 2, _FEW), MAX_CLASSES)
    columns = [column for column in counts if column not in set(exempt) and len(set(counts[column]) - {None}) > most]
    listed = ", ".join(f"{column} ({len(set(counts[column]) - {None}):,} values)" for column in columns)
    numbers = any(are_numbers(counts[column]) for column in columns)
    advice = "; ingest.bins divides numbers into classes" if numbers else ""
    note = f"not taken as labels, because they identify single images: {listed}{advice}"
    return columns, ((note,) if columns else ())


def are_numbers(values: Iterable[str | None]) -> bool:
    """Whether all values that are not missing are numbers."""
    return all(as_number(value) is not None for value in values if value is not None)


def check_classes(name: str, column: str, classes: Iterable[str | None]) -> None:
    """Checks the number of classes of a label column.

    Raises:
        FaceForgeError: it has fewer than two, or more than `MAX_CLASSES`.
    """
    values = sorted({value for value in classes if value is not None})
    if len(values) < 2:
        content = f"only the class {values[0]!r}" if values else "no values"
        raise FaceForgeError(f"{name}: label column {column!r} has {content} and needs at least two; {_WITHOUT}")
    if len(values) > MAX_CLASSES:
        advice = f"divide them with ingest.bins, or {_WITHOUT}" if are_numbers(values) else _WITHOUT
        raise FaceForgeError(
            f"{name}: label column {column!r} has {len(values):,} different values, no classes; {advice}"
        )


def _check_numbers(name: str, column: str, counts: Counter[str | None], min_class: int) -> None:
    """A column of numbers that are too many to be classes: the advice is to divide them."""
    values = [value for value in counts if value is not None]
    if len(values) > _MANY_NUMBERS and are_numbers(values) and min(counts.values()) < min_class:
        low, *_, high = sorted(values, key=lambda value: as_number(value) or 0.0)
        middle = [sorted(as_number(value) or 0.0 for value in values)[len(values) * part // 4] for part in (1, 2, 3)]
        raise FaceForgeError(
            f"{name}: label column {column!r} holds {len(values):,} different numbers ({low} to {high}), and some have "
            f"fewer than {min_class} images; divide them into classes, for example with "
            f'ingest.bins="{column}:{_listed(middle)}" or "{column}:q4"'
        )


def _doubts(column: str, classes: Iterable[str | None]) -> list[str]:
    """Notes on classes that may stand for a missing value, and on those that differ in spelling only."""
    values = sorted(value for value in classes if value is not None)
    notes = [
        f"class {value!r} of {column!r} may stand for a missing value; leave such cells empty if it does"
        for value in values
        if value.lower() in _DOUBTFUL
    ]
    spellings: dict[str, list[str]] = defaultdict(list)
    for value in values:
        spellings[_folded(value)].append(value)
    variants = [" / ".join(same) for same in spellings.values() if len(same) > 1]
    if variants:
        notes.append(f"classes of {column!r} that differ in spelling only: {'; '.join(variants[:5])}")
    return notes


def _folded(value: str) -> str:
    """Text without case, spaces, hyphens, underscores and compatibility forms; `01` and `1` are the same number."""
    text = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", value).casefold()) or value
    return str(int(text)) if text.isascii() and text.isdigit() and value.isdigit() else text


def _listed(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:.6g}" for number in numbers)
