"""What a comparison of classifiers needs: image sets that fit together, and a class with enough images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import CLASSIFIER_SIZES
from faceforge.usefulness.methods import BASELINES, MORE_REAL, USES, Method

MIN_TRAIN, MIN_HOLDOUT, MIN_SAMPLES = 10, 20, 20  # images of the class
MIN_OTHERS = 50  # held-out images of other classes


@dataclass(frozen=True)
class UsefulnessPlan:
    """What to compare.

    Attributes:
        data: image set; classifiers train on its train split and are tested on its holdout.
        synthetic: image set of samples with the same label column.
        out: folder for the result; it keeps finished trainings, so that an interrupted comparison continues.
        column: label column; empty = that of the class with the fewest training images.
        name: class to recognise; empty = the one with the fewest training images among those that can be tested.
        more_real: image set whose train split has additional real images, to compare samples with; None = none.
        seeds: trainings per method, at least 2.
        steps: of each training.
        flip: mirror images at random; not for letters and digits.
    """

    data: Path
    synthetic: Path
    out: Path
    column: str = ""
    name: str = ""
    more_real: Path | None = None
    seeds: int = 3
    steps: int = 500
    flip: bool = True


@dataclass(frozen=True)
class Task:
    """The image sets of a plan, opened and checked.

    Attributes:
        data, synthetic, more_real: the sets.
        column, name: the class to recognise.
        notes: what limits the comparison.
    """

    data: ImageSet
    synthetic: ImageSet
    more_real: ImageSet | None
    column: str
    name: str
    notes: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        """Classes of the label column, in the order of their codes."""
        return self.data.info.labels[self.column]

    @property
    def code(self) -> int:
        """Code of the class to recognise."""
        return self.classes.index(self.name)

    @property
    def methods(self) -> Sequence[Method]:
        """The methods to compare."""
        return (*BASELINES, *USES, *((MORE_REAL,) if self.more_real else ()))


def open_task(plan: UsefulnessPlan) -> Task:
    """Opens the image sets of a plan and checks by `dataset.json` that they fit together and are large enough.

    Raises:
        FaceForgeError: they do not, or are not; or the plan has too few seeds or steps.
    """
    data, synthetic = ImageSet.open(plan.data), ImageSet.open(plan.synthetic)
    more = None if plan.more_real is None else ImageSet.open(plan.more_real)
    if plan.seeds < 2:
        raise FaceForgeError(f"{plan.seeds} seeds do not show how much trainings differ; use at least 2, better 3")
    if plan.steps < 10:
        raise FaceForgeError(f"{plan.steps} steps are too few to train a classifier; use at least 10, better 500")
    if data.info.image_size not in CLASSIFIER_SIZES:
        sizes = ", ".join(map(str, CLASSIFIER_SIZES))
        raise FaceForgeError(f"image set {data.root} has {data.info.image_size} px; the classifier reads {sizes} px")
    column, name = _class_to_recognise(data, synthetic, plan.column, plan.name)
    for other in filter(None, (synthetic, more)):
        _check_fits(data, other, column)
    without = [c for c in data.info.labels[column] if not synthetic.info.counts["train"].classes[column].get(c)]
    notes = []
    if without:
        notes.append(
            f"There are no samples of {', '.join(without)}. Classifiers that train on samples of some classes and real "
            "images of the others may learn to tell samples from real images; samples of all classes (`faceforge "
            "generate --per-class N`) avoid this."
        )
    return Task(data, synthetic, more, column, name, tuple(notes))


def _class_to_recognise(data: ImageSet, synthetic: ImageSet, column: str, name: str) -> tuple[str, str]:
    if not data.info.labels:
        raise FaceForgeError(f"image set {data.root} has no labels; usefulness is measured by recognising a class")
    columns = data.label_columns([column] if column else None)
    synthetic.label_columns([column] if column else ())
    if name:
        columns = tuple(known for known in columns if name in data.info.labels[known])
        if len(columns) != 1:
            where = f"label column {column!r}" if column else f"image set {data.root}"
            found = "several label columns have it; name one with --label" if columns else "see its dataset.json"
            raise FaceForgeError(f"{where} has {'more than one' if columns else 'no'} class {name!r}; {found}")
        shortage = _shortage(data, synthetic, columns[0], name)
        if shortage:
            raise FaceForgeError(f"class {name!r} of {columns[0]!r} {shortage}")
        return columns[0], name
    counts = {c: data.info.counts["train"].classes[c] for c in columns}
    candidates = sorted(((n, c, label) for c in columns for label, n in counts[c].items()), key=lambda row: row[0])
    for _, known, label in candidates:
        if not _shortage(data, synthetic, known, label):
            return known, label
    _, known, label = candidates[0]
    raise FaceForgeError(
        f"no class can be compared: class {label!r} of {known!r} {_shortage(data, synthetic, known, label)}"
    )


def _shortage(data: ImageSet, synthetic: ImageSet, column: str, name: str) -> str:
    """Why the class cannot be compared; empty = it can."""
    train, holdout = (data.info.counts[split].classes[column].get(name, 0) for split in ("train", "holdout"))
    samples = synthetic.info.counts["train"].classes.get(column, {}).get(name, 0)
    others = data.info.counts["holdout"].total - holdout
    if train < MIN_TRAIN:
        return f"has {train} training images, at least {MIN_TRAIN} are needed; collect more"
    if holdout < MIN_HOLDOUT or others < MIN_OTHERS:
        return (
            f"has {holdout} held-out images and the others have {others}, at least {MIN_HOLDOUT} and {MIN_OTHERS} are "
            "needed; ingest again with a larger ingest.holdout"
        )
    if samples < MIN_SAMPLES:
        return f"has {samples} samples in {synthetic.root}, at least {MIN_SAMPLES} are needed; generate more of it"
    return ""


def _check_fits(data: ImageSet, other: ImageSet, column: str) -> None:
    ours, theirs = ((s.info.image_size, s.info.channels) for s in (data, other))
    if ours != theirs:
        raise FaceForgeError(
            f"image set {other.root} has {theirs[0]} px and {theirs[1]} channels, {data.root} has {ours[0]} px and "
            f"{ours[1]}; generate or ingest it with the same size"
        )
    other.label_columns([column])
    if unknown := [name for name in other.info.labels[column] if name not in data.info.labels[column]]:
        raise FaceForgeError(f"image set {other.root} has the class {unknown[0]!r} of {column!r}, {data.root} does not")
