"""The overview of an image set as a PNG file and an HTML page: examples and counts of every class, distributions."""

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
_PER_ROW, _UNLABELLED_ROWS = 16, 4  # images in a row; rows of images where there are no labels
_MAX_COLUMNS, _MAX_CLASSES = 6, 12  # shown in the picture; the page's tables list all of them
# In inches: the figure, the space for class names, a row of images, a heading, a histogram, the margins.
_WIDTH, _NAMES, _ROW, _HEADING, _CHART, _MARGIN = 14.0, 1.5, 0.56, 0.45, 2.0, 0.2
_TEXT, _TRAIN, _HOLDOUT = "#1c2430", "#1f5f99", "#d9772b"
_TITLES = {
    "width": "source width, px",
    "height": "source height, px",
    "brightness": "brightness, 0..1",
    "contrast": "contrast, 0..0.5",
    "sharpness": "sharpness",
}


def write_overview(images: ImageSet, folder: Path) -> tuple[Path, Path]:
    """Writes `overview.png` and a self-contained `overview.html` for an image set.

    Args:
        images: the image set.
        folder: where to write them.

    Returns:
        the paths of the PNG file and of the page.
    """
    png = _picture(images)
    picture, page = folder / PICTURE, folder / PAGE
    with atomic_file(picture) as partial:
        partial.write_bytes(png)
    with atomic_file(page) as partial:
        partial.write_text(_page(images.info, png), encoding="utf-8")
    return picture, page


def _picture(images: ImageSet) -> bytes:
    """PNG bytes: examples of every class with counts beside them, and the distributions below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    info = images.info
    columns = list(info.labels)[:_MAX_COLUMNS]
    blocks = _rows(class_examples(images, columns, _PER_ROW if columns else _PER_ROW * _UNLABELLED_ROWS))
    charts = [name for name in _TITLES if name in info.statistics.distributions]
    blocks_height = sum(_HEADING + _ROW * len(rows) for rows in blocks.values())
    height = _HEADING + blocks_height + (_CHART if charts else 0) + _MARGIN
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)

    def add_axes(left: float, top: float, width: float, axes_height: float) -> Axes:
        """Axes whose position is given in inches from the upper left corner."""
        return figure.add_axes((left / _WIDTH, 1 - (top + axes_height) / height, width / _WIDTH, axes_height / height))

    figure.text(_MARGIN / _WIDTH, 1 - 0.3 / height, _headline(info), color=_TEXT, fontsize=13, fontweight="bold")
    top = _HEADING
    for column, rows in blocks.items():
        block_height = _ROW * len(rows)
        _draw_examples(add_axes(_NAMES, top + _HEADING, _ROW * _PER_ROW, block_height), column, rows, info)
        if column:
            left = _NAMES + _ROW * _PER_ROW + 0.15
            axes = add_axes(left, top + _HEADING, _WIDTH - left - _MARGIN, block_height)
            _draw_counts(axes, column, list(rows), info)
        top += _HEADING + block_height
    chart_width = (_WIDTH - _MARGIN) / max(len(charts), 1)
    for number, name in enumerate(charts):
        left = _MARGIN + number * chart_width
        axes = add_axes(left, top + _HEADING + 0.1, chart_width - 0.3, _CHART - _HEADING - 0.4)
        _draw_histogram(axes, name, info.statistics.distributions[name])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _rows(examples: dict[str, dict[str, list[Pixels]]]) -> dict[str, dict[str, list[Pixels]]]:
    """Label column -> row name -> images: a row per class, or several rows with blank names without labels."""
    if "" in examples:
        unlabelled = examples[""][""]
        return {"": {" " * row: unlabelled[row::_UNLABELLED_ROWS] for row in range(_UNLABELLED_ROWS)}}
    return {column: dict(list(classes.items())[:_MAX_CLASSES]) for column, classes in examples.items()}


def _headline(info: DatasetInfo) -> str:
    train, holdout = (info.counts[split].total for split in ("train", "holdout"))
    name = Path(info.source).name or info.source
    return f"{name}: {train:,} training and {holdout:,} holdout images of {info.image_size} px"


def _draw_examples(axes: Axes, column: str, rows: dict[str, list[Pixels]], info: DatasetInfo) -> None:
    edge, channels = info.image_size, info.channels
    blank = np.full((edge, edge, channels), 255, np.uint8)
    padded = [[*images, *[blank] * (_PER_ROW - len(images))] for images in rows.values()]
    grid = image_grid(np.stack([image for row in padded for image in row]), _PER_ROW, max(edge // 16, 1))
    axes.imshow(np.broadcast_to(grid, (*grid.shape[:2], 3)), aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([len(grid) * (row + 0.5) / len(rows) for row in range(len(rows))])
    axes.set_yticklabels([_short(name) for name in rows], color=_TEXT)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if column:
        more = len(info.labels[column]) - len(rows)
        axes.set_title(f"{column}{f', and {more} more classes' if more else ''}", loc="left", color=_TEXT, fontsize=11)


def _draw_counts(axes: Axes, column: str, classes: list[str], info: DatasetInfo) -> None:
    train, holdout = ([info.counts[split].classes[column][name] for name in classes] for split in ("train", "holdout"))
    positions = np.arange(len(classes))
    axes.barh(positions, train, color=_TRAIN, label="train")
    axes.barh(positions, holdout, left=train, color=_HOLDOUT, label="holdout")
    for position, (in_train, in_holdout) in enumerate(zip(train, holdout, strict=True)):
        text = f" {in_train:,} + {in_holdout:,}"
        axes.text(in_train + in_holdout, position, text, va="center", fontsize=8, color=_TEXT)
    axes.set_yticks([])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, max(map(sum, zip(train, holdout, strict=True))) * 1.6)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title("training + holdout images", loc="left", color=_TEXT, fontsize=9)


def _draw_histogram(axes: Axes, name: str, distribution: Distribution) -> None:
    """Draws the non-empty bins and one on either side."""
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
    axes.tick_params(labelsize=8, colors=_TEXT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(_TITLES[name], loc="left", color=_TEXT, fontsize=9)


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
    """The listed rejects grouped by reason without its numbers, each with its count and one path."""
    reasons = {reject.path: re.sub(r"\d[\d.,]*", "…", reject.reason) for reject in info.rejects}
    example = {reason: path for path, reason in reversed(reasons.items())}
    return [
        {"kind": reason, "count": count, "path": example[reason]}
        for reason, count in Counter(reasons.values()).most_common(30)
    ]
