"""Numbers such as ages as ordered classes: `ingest.bins`."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from faceforge.errors import FaceForgeError

_QUANTILES = re.compile(r"q([2-9]|[1-9]\d)")
_EXAMPLE = "write edges, as in age:0,13,25,40,60, or a number of quantiles, as in age:q4; join columns by ';'"


@dataclass(frozen=True)
class Bins:
    """Classes of a number: below the first edge, between neighbouring edges, from the last edge on.

    Attributes:
        edges: ascending. An edge belongs to the class above it.
    """

    edges: tuple[float, ...]

    @property
    def classes(self) -> list[str]:
        """Class names in ascending order: `<0`, `0-12`, `13-24`, `25+` for whole edges, `0.5 to 1` for others."""
        whole = all(edge.is_integer() and edge >= 0 for edge in self.edges)
        shown = [f"{edge:.6g}" for edge in self.edges]
        names = [f"<{shown[0]}"]
        for low, high in pairwise(self.edges):
            if whole:
                names.append(f"{low:.0f}-{high - 1:.0f}" if high - low > 1 else f"{low:.0f}")
            else:
                names.append(f"{low:.6g} to {high:.6g}")
        return [*names, f"{shown[-1]}+"]

    def class_of(self, value: str | None) -> str | None:
        """The class of a number given as text; None if it is no finite number."""
        number = as_number(value)
        return None if number is None else self.classes[bisect_right(self.edges, number)]


def parse_bins(text: str) -> dict[str, tuple[float, ...] | int]:
    """`"age:0,13,25; score:q4"` -> label column -> edges, or the number of quantiles.

    Raises:
        FaceForgeError: the text is malformed, or edges do not ascend.
    """
    parsed: dict[str, tuple[float, ...] | int] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        column, colon, rest = (part.strip() for part in item.rpartition(":"))
        if not colon or not column:
            raise FaceForgeError(f"ingest.bins = {text!r}: {item!r} lacks a column or ':'; {_EXAMPLE}")
        if quantiles := _QUANTILES.fullmatch(rest):
            parsed[column] = int(quantiles[1])
            continue
        edges = [as_number(edge) for edge in rest.split(",")]
        numbers = tuple(edge for edge in edges if edge is not None)
        if len(numbers) < len(edges):
            raise FaceForgeError(f"ingest.bins = {text!r}: {rest!r} are not edges; {_EXAMPLE}")
        if any(low >= high for low, high in pairwise(numbers)):
            raise FaceForgeError(f"ingest.bins = {text!r}: the edges of {column!r} must ascend")
        parsed[column] = numbers
    return parsed


def fit_bins(name: str, counts: Mapping[str, Counter[str | None]], text: str) -> dict[str, Bins]:
    """The bins of label columns; quantiles are computed from the values that the images have.

    Args:
        name: name of the source, for messages.
        counts: label column -> value -> number of images.
        text: `ingest.bins`.

    Raises:
        FaceForgeError: a column does not exist or holds values that are not numbers.
    """
    bins: dict[str, Bins] = {}
    for column, wanted in parse_bins(text).items():
        if column not in counts:
            known = f"its label columns are {', '.join(counts)}" if counts else "it has no label columns"
            raise FaceForgeError(f"ingest.bins names {column!r}, which is no label column of {name}: {known}")
        values = {value: as_number(value) for value in counts[column] if value is not None}
        if wrong := next((value for value, number in values.items() if number is None), None):
            raise FaceForgeError(f"ingest.bins: {column!r} of {name} holds {wrong!r}, which is not a number")
        if isinstance(wanted, int):
            numbers = np.repeat(
                [number for number in values.values() if number is not None],
                [counts[column][value] for value in values],
            )
            if len(set(numbers.tolist())) < wanted:
                raise FaceForgeError(f"ingest.bins: {column!r} of {name} has fewer than {wanted} different numbers")
            cuts = np.quantile(numbers, np.linspace(0, 1, wanted + 1)[1:-1], method="higher")
            bins[column] = Bins(tuple(sorted(set(cuts.tolist()))))
        else:
            bins[column] = Bins(wanted)
    return bins


def as_number(text: str | None) -> float | None:
    """A text as a finite number, with a decimal point or comma; None if it is none."""
    try:
        number = float(text.replace(",", ".", 1)) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
