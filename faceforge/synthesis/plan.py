"""The plan: how many images to make of each combination of labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.synthesis.options import SynthesisConfig

MAX_CELLS = 10_000  # combinations of labels


@dataclass(frozen=True)
class Cell:
    """Images of one combination of labels.

    Attributes:
        labels: column -> class, for all of the model's columns.
        codes: the same as class indices, in the order of the model's columns.
        wanted: number of images to make, at least 1.
    """

    labels: dict[str, str]
    codes: tuple[int, ...]
    wanted: int

    @property
    def name(self) -> str:
        """`expression=smiling,age=old`; `all` without labels."""
        return ",".join(f"{column}={label}" for column, label in self.labels.items()) or "all"


def make_plan(labels: Mapping[str, Sequence[str]], config: SynthesisConfig, data: ImageSet | None) -> list[Cell]:
    """The cells to generate, in the order of their labels.

    Counts are per combination of classes of `config.by`; the model's other columns share each count evenly.

    Args:
        labels: the model's label columns and their classes.
        config: number of images.
        data: the image set to balance; only needed for that.

    Raises:
        FaceForgeError: unknown columns, too many combinations, or no image to make.
    """
    if missing := [column for column in config.by if column not in labels]:
        raise FaceForgeError(
            f"by names {missing[0]!r}, but the model's label columns are {', '.join(labels) or 'none'}"
        )
    if not labels and not config.count:
        raise FaceForgeError("the model is unconditional: it has no classes; set the number of images with count")
    counted = {column: labels[column] for column in labels if column in (config.by or labels)}
    groups = math.prod(len(classes) for classes in counted.values())
    if config.count:
        return _share({}, config.count, labels)
    if groups > MAX_CELLS:
        raise FaceForgeError(
            f"{groups:,} combinations of {', '.join(counted)} are too many; choose fewer columns with by"
        )
    present = _present(counted, data) if config.balance else Counter()
    target = config.target or max(present.values(), default=0) if config.balance else config.per_class
    cells = []
    for number in range(groups):
        group = _combination(counted, number)
        if (missing_count := target - present[tuple(group.values())]) > 0:
            cells += _share(group, missing_count, labels)
    if not cells:
        raise FaceForgeError("nothing to make: every class of the data already has the target size")
    if len(cells) > MAX_CELLS:
        raise FaceForgeError(f"{len(cells):,} combinations of labels are too many; request fewer images or columns")
    return cells


def _present(counted: Mapping[str, Sequence[str]], data: ImageSet | None) -> Counter[tuple[str, ...]]:
    """Number of train images of each combination of classes."""
    if data is None:
        raise FaceForgeError("balance needs an image set")
    data.label_columns(list(counted))  # raises if one is missing
    for column, classes in counted.items():
        if unknown := [name for name in data.info.labels[column] if name not in classes]:
            raise FaceForgeError(
                f"image set {data.root} has {column} = {unknown[0]!r}, which is not a class of the model; "
                f"its classes: {', '.join(classes)}"
            )
    return Counter(tuple(record.labels[c] for c in counted) for record in data.records("train", images=False))


def _share(group: Mapping[str, str], count: int, labels: Mapping[str, Sequence[str]]) -> list[Cell]:
    """`count` images of a group, spread over the combinations of the remaining columns."""
    left = {column: classes for column, classes in labels.items() if column not in group}
    ways = math.prod(len(classes) for classes in left.values())
    used = min(ways, count)
    cells = []
    for place in range(used):
        full = {**group, **_combination(left, place * ways // used)}
        ordered = {column: full[column] for column in labels}
        codes = tuple(labels[column].index(name) for column, name in ordered.items())
        cells.append(Cell(ordered, codes, count // used + (place < count % used)))
    return cells


def _combination(columns: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    """The `number`-th combination of classes; the last column varies fastest."""
    chosen = {}
    for column, classes in reversed(list(columns.items())):
        number, code = divmod(number, len(classes))
        chosen[column] = classes[code]
    return dict(reversed(list(chosen.items())))
