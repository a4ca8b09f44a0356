"""An image set at a glance: examples of every class, class counts and distributions, as a picture and as a page."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceforge.data.imageset.info import DatasetInfo, Distribution
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.overview.examples import class_examples
from faceforge.data.pixels import Pixels
from faceforge.files import atomic_file
from faceforge.templates import template_environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE, PAGE = "overview.png", "overview.html"
_IN_LINE, _CLASSLESS_LINES = 16, 4  # images
_COLUMNS, _CLASSES = 6, 12  # shown at most; the page's tables have all of them
_WIDTH, _NAMES, _LINE, _HEAD, _CHART, _MARGIN = 14.0, 1.5, 0.56, 0.45, 2.0, 0.2  # inches
_INK, _TRAIN, _HOLDOUT = "#1c2430", "#1f5f99", "#d9772b"
_TITLES = {
    "width": "source width, px",
    "height": "source height, px",
    "brightness": "brightness, 0..1",
    "contrast": "contrast, 0..0.5",
    "sharpness": "sharpness",
}


def write_overview(images: ImageSet, folder: Path) -> tuple[Path, Path]:
    """Writes `overview.png` and `overview.html`, which needs nothing else: its pictures are inside.

    Args:
        images: the set.
        folder: where to write.

    Returns:
        the paths of both.
    """
    png = _picture(images)
    picture, page = folder / PICTURE, folder / PAGE
    with atomic_file(picture) as partial:
        partial.write_bytes(png)
    with atomic_file(page) as partial:
        partial.write_text(_page(images.info, png), encoding="utf-8")
    return picture, page


def _picture(images: ImageSet) -> bytes:
    """Examples of every class with its counts beside them, distributions below, as PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    info = images.info
    columns = list(info.labels)[:_COLUMNS]
    lines = _lines(class_examples(images, columns, _IN_LINE if columns else _IN_LINE * _CLASSLESS_LINES))
    charts = [name for name in _TITLES if name in info.statistics.distributions]
    blocks = sum(_HEAD + _LINE * len(names) for names in lines.values())
    height = _HEAD + blocks + (_CHART if charts else 0) + _MARGIN
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)

    def place(left: float, top: float, width: float, high: float) -> Axes:
        """Axes at a place given in inches from the upper left."""
        return figure.add_axes((left / _WIDTH, 1 - (top + high) / height, width / _WIDTH, high / height))

    figure.text(_MARGIN / _WIDTH, 1 - 0.3 / height, _headline(info), color=_INK, fontsize=13, fontweight="bold")
    top = _HEAD
    for column, named in lines.items():
        high = _LINE * len(named)
        _grid(place(_NAMES, top + _HEAD, _LINE * _IN_LINE, high), column, named, info)
        if column:
            left = _NAMES + _LINE * _IN_LINE + 0.15
            _counts(place(left, top + _HEAD, _WIDTH - left - _MARGIN, high), column, list(named), info)
        top += _HEAD + high
    wide = (_WIDTH - _MARGIN) / max(len(charts), 1)
    for number, name in enumerate(charts):
        axes = place(_MARGIN + number * wide, top + _HEAD + 0.1, wide - 0.3, _CHART - _HEAD - 0.4)
        _histogram(axes, name, info.statistics.distributions[name])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _lines(examples: dict[str, dict[str, list[Pixels]]]) -> dict[str, dict[str, list[Pixels]]]:
    """The lines of each block by name: classes, or lines without names."""
    if "" in examples:
        unnamed = examples[""][""]
        return {"": {" " * line: unnamed[line::_CLASSLESS_LINES] for line in range(_CLASSLESS_LINES)}}
    return {column: dict(list(classes.items())[:_CLASSES]) for column, classes in examples.items()}


def _headline(info: DatasetInfo) -> str:
    train, holdout = (info.counts[split].total for split in ("train", "holdout"))
    name = Path(info.source).name or info.source
    return f"{name}: {train:,} training and {holdout:,} holdout images of {info.image_size} px"


def _grid(axes: Axes, column: str, lines: dict[str, list[Pixels]], info: DatasetInfo) -> None:
    edge, channels = info.image_size, info.channels
    blank = np.full((edge, edge, channels), 255, np.uint8)
    padded = [[*images, *[blank] * (_IN_LINE - len(images))] for images in lines.values()]
    grid = image_grid(np.stack([image for line in padded for image in line]), _IN_LINE, max(edge // 16, 1))
    axes.imshow(np.broadcast_to(grid, (*grid.shape[:2], 3)), aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([len(grid) * (line + 0.5) / len(lines) for line in range(len(lines))])
    axes.set_yticklabels([_short(name) for name in lines], color=_INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if column:
        more = len(info.labels[column]) - len(lines)
        axes.set_title(f"{column}{f', and {more} more classes' if more else ''}", loc="left", color=_INK, fontsize=11)


def _counts(axes: Axes, column: str, classes: list[str], info: DatasetInfo) -> None:
    train, holdout = ([info.counts[split].classes[column][name] for name in classes] for split in ("train", "holdout"))
    places = np.arange(len(classes))
    axes.barh(places, train, color=_TRAIN, label="train")
    axes.barh(places, holdout, left=train, color=_HOLDOUT, label="holdout")
    for place, (ours, theirs) in enumerate(zip(train, holdout, strict=True)):
        axes.text(ours + theirs, place, f" {ours:,} + {theirs:,}", va="center", fontsize=8, color=_INK)
    axes.set_yticks([])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, max(map(sum, zip(train, holdout, strict=True))) * 1.6)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title("training + holdout images", loc="left", color=_INK, fontsize=9)


def _histogram(axes: Axes, name: str, distribution: Distribution) -> None:
    """Only the bins around those that are filled."""
    edges, counts = np.array(distribution.edges), np.array(distribution.counts)
    filled = np.flatnonzero(counts)
    first, last = max(filled[0] - 1, 0), min(filled[-1] + 2, len(counts))
    axes.stairs(counts[first:last], edges[first : last + 1], fill=True, color=_TRAIN)
    if edges[1] / max(edges[0], 1e-9) < 2 and edges[0] > 0:  # bins of equal ratios
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
        powers = 2 ** np.arange(np.ceil(np.log2(edges[first])), np.log2(edges[last]) + 0.01)
        powers = powers[:: -(-len(powers) // 5)]
        axes.set_xticks(powers, [f"{power:,.0f}" for power in powers])
    axes.set_yticks([])
    axes.tick_params(labelsize=8, colors=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(_TITLES[name], loc="left", color=_INK, fontsize=9)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _page(info: DatasetInfo, png: bytes) -> str:
    environment = template_environment("faceforge.data.overview")
    return environment.get_template("overview.html.jinja").render(
        info=info,
        headline=_headline(info),
        picture=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        reasons=_reasons(info),
    )


def _reasons(info: DatasetInfo) -> list[dict[str, Any]]:
    """The listed rejects by reason, measured values aside, with one path each."""
    kinds = {reject.path: re.sub(r"\d[\d.,]*", "…", reject.reason) for reject in info.rejects}
    first = {kind: path for path, kind in reversed(kinds.items())}
    return [{"kind": k, "count": count, "path": first[k]} for k, count in Counter(kinds.values()).most_common(30)]
