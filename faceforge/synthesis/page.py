"""`report.html` of a synthetic image set: a verdict, five numbers, pictures of every class."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.pixels import from_bytes, to_png
from faceforge.evaluation.figures import Strip, Strips, shown_width
from faceforge.evaluation.report.key_figures import KeyFigure, light
from faceforge.synthesis import measures as m
from faceforge.synthesis.checks import COPY_QUANTILE, Check
from faceforge.synthesis.draw import Tally
from faceforge.synthesis.measures import DESCRIPTIONS, SetMeasures
from faceforge.synthesis.plan import Cell
from faceforge.synthesis.source import ModelSource
from faceforge.synthesis.verify import MAX_REPEATS
from faceforge.templates import template_environment

PAGE = "report.html"
SHOWN_ROWS, SHOWN_COLUMNS = 12, 8

GOOD_AGREEMENT, FAIR_AGREEMENT = 0.95, 0.7  # relative to the accuracy on real images
GOOD_DISTANCE, FAIR_DISTANCE = 0.05, 0.25
GOOD_COPIES, FAIR_COPIES = 0.02, 0.05
GOOD_DIVERSITY, FAIR_DIVERSITY = 0.8, 0.5
LIGHTS = (
    f"Good and fair: label agreement from {GOOD_AGREEMENT:.0%} and {FAIR_AGREEMENT:.0%} of the accuracy on real images;"
    f" distance up to {GOOD_DISTANCE:g} and {FAIR_DISTANCE:g}; copies up to {GOOD_COPIES:.0%} and {FAIR_COPIES:.0%};"
    f" diversity from {GOOD_DIVERSITY:.0%} and {FAIR_DIVERSITY:.0%} of that of real images; repeats none and up to"
    f" {MAX_REPEATS:.0%}."
)


class SetVerdict(NamedTuple):
    """Whether a synthetic set is fit for use.

    Attributes:
        name: `good`, `use with care` or `not recommended`.
        colour: of the page: promote, hold or reject, as in the evaluation report.
        reason: in a sentence.
    """

    name: Literal["good", "use with care", "not recommended"]
    colour: Literal["promote", "hold", "reject"]
    reason: str


def set_figures(measures: SetMeasures) -> list[KeyFigure]:
    """The measured numbers in words, with a traffic light."""
    known = measures.metrics
    figures: list[KeyFigure] = []
    if m.LABEL_AGREEMENT in known:
        value, real = known[m.LABEL_AGREEMENT], known[m.REAL_ACCURACY]
        colour = light(value / real if real else np.nan, GOOD_AGREEMENT, FAIR_AGREEMENT)
        figures.append(_figure(m.LABEL_AGREEMENT, "Images that show their label", "higher", f"{value:.1%}", colour,
                               f"real images: {real:.1%}"))  # fmt: skip
    if m.DISTANCE in known:
        value, colour = known[m.DISTANCE], light(-known[m.DISTANCE], -GOOD_DISTANCE, -FAIR_DISTANCE)
        figures.append(_figure(m.DISTANCE, "Distance from real images", "lower", f"{value:.3f}", colour,
                               f"unseen real images: {known[m.REAL_DISTANCE]:.3f}"))  # fmt: skip
    if m.DIVERSITY in known:
        value, colour = known[m.DIVERSITY], light(known[m.DIVERSITY], GOOD_DIVERSITY, FAIR_DIVERSITY)
        figures.append(_figure(m.DIVERSITY, "Diversity, of that of real images", "higher", f"{value:.0%}", colour,
                               f"lowest of a class: {known[m.LOWEST_DIVERSITY]:.0%}"))  # fmt: skip
    if m.COPIES in known:
        value, colour = known[m.COPIES], light(-known[m.COPIES], -GOOD_COPIES, -FAIR_COPIES)
        figures.append(_figure(m.COPIES, "Images that nearly copy a training image", "lower", f"{value:.1%}", colour,
                               f"unseen real images: {COPY_QUANTILE:.0%}"))  # fmt: skip
    value, colour = known[m.REPEATS], light(-known[m.REPEATS], 0, -MAX_REPEATS)
    return [*figures, _figure(m.REPEATS, "Repeated images", "lower", f"{value:.1%}", colour, "")]


def verdict(measures: SetMeasures) -> SetVerdict:
    """What the numbers together say."""
    figures = set_figures(measures)
    for colour, name, page in (("poor", "not recommended", "reject"), ("fair", "use with care", "hold")):
        if weak := [figure.title.lower() for figure in figures if figure.light == colour]:
            return SetVerdict(name, page, f"{'; '.join(weak)}: {colour}.")  # type: ignore[arg-type]
    if measures.notes:
        return SetVerdict("use with care", "hold", "Not everything could be measured.")
    return SetVerdict("good", "promote", "All five numbers are good.")


def report_page(
    images: ImageSet,
    data: ImageSet | None,
    source: ModelSource,
    measures: SetMeasures,
    checks: Sequence[Check],
    plan: Sequence[Cell],
    tallies: Sequence[Tally],
) -> str:
    """The page as HTML; styles and pictures are embedded."""
    environment = template_environment("faceforge.synthesis", "faceforge.evaluation.report")
    environment.filters["inline"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    environment.filters["png"] = to_png
    environment.filters["shown_width"] = shown_width
    return environment.get_template("set_report.html.jinja").render(
        verdict=verdict(measures),
        key_figures=set_figures(measures),
        lights=LIGHTS,
        strips=_strips(images, data),
        info=images.info,
        model=source.name,
        measures=measures,
        descriptions=DESCRIPTIONS,
        checks=[check.name for check in checks],
        cells=list(zip(plan, tallies, strict=True)),
    )


def _figure(
    metric: str, title: str, better: Literal["higher", "lower"], value: str, colour: str, against_real: str
) -> KeyFigure:
    return KeyFigure(metric, title, better, value, colour, against_real, "")  # type: ignore[arg-type]


def _strips(images: ImageSet, data: ImageSet | None) -> Strips:
    """The first images of every combination of classes; beside them real ones if there are any."""
    columns = tuple(images.info.labels)
    made = _first(images, columns)
    codes = {column: {name: code for code, name in enumerate(images.info.labels[column])} for column in columns}
    names = sorted(made, key=lambda names: [codes[column][name] for column, name in zip(columns, names, strict=True)])
    shared = data is not None and set(columns) <= set(data.info.labels)
    real = _first(data, columns) if shared and data is not None else {}
    rows = []
    for combination in names[:SHOWN_ROWS]:
        shown = [made[combination]] if not real else [real.get(combination), made[combination]]
        pairs = zip(columns, combination, strict=True)
        title = "".join(combination) if len(columns) < 2 else ", ".join(f"{column} {name}" for column, name in pairs)
        blank = np.full_like(made[combination], 255)
        rows.append(Strip(title, tuple(blank if strip is None else strip for strip in shown)))
    return Strips(("Real", "Synthetic") if real else ("Synthetic",), rows, images.info.image_size)


def _first(images: ImageSet, columns: Sequence[str]) -> Mapping[tuple[str, ...], NDArray[np.uint8]]:
    """Combination of classes -> a row of its first images."""
    found: dict[tuple[str, ...], list[NDArray[np.uint8]]] = {}
    for record in images.records("train"):
        row = found.setdefault(tuple(record.labels[column] for column in columns), [])
        if len(row) < SHOWN_COLUMNS:
            row.append(from_bytes(record.image, images.info.channels))
    blank = np.full((images.info.image_size, images.info.image_size, images.info.channels), 255, np.uint8)
    return {
        names: image_grid(np.stack([*row, *[blank] * (SHOWN_COLUMNS - len(row))]), SHOWN_COLUMNS, 1)
        for names, row in found.items()
    }
