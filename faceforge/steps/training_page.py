"""A page about a finished training: loss curves and the latest sample grid, as one self-contained HTML file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceforge.files import atomic_file
from faceforge.templates import template_environment

LOSSES = ("loss/generator", "loss/discriminator")
_DISTANCE = "holdout/sliced_wasserstein"  # measured at every sample grid
_COLOURS = ("#1f5f99", "#d9772b")
_SHOWN_EDGE = 640  # CSS pixels of the grid


def write_training_page(work: Path, path: Path, links: Mapping[str, Any]) -> None:
    """Writes the page.

    Args:
        work: folder where training wrote `metrics.jsonl` and `grids/`.
        path: HTML file to write.
        links: may hold `mlflow_run`, the address of the run in MLflow.
    """
    points = read_points(work)
    grid = max((work / "grids").glob("*.png"), default=None)
    page = template_environment("faceforge.steps").get_template("training.html.jinja")
    curves = {"Losses": LOSSES, "Distance from the holdout (sliced Wasserstein)": (_DISTANCE,)}
    text = page.render(
        curves={title: _inline(_curves(points, names)) for title, names in curves.items() if _has(points, names)},
        grid=_inline(grid.read_bytes()) if grid else "",
        grid_images=int(grid.stem) if grid else 0,
        edge=_SHOWN_EDGE,
        mlflow_run=links.get("mlflow_run", ""),
    )
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_points(work: Path) -> list[dict[str, float]]:
    """The points that training wrote to `metrics.jsonl` in its folder, in order."""
    file = work / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _has(points: Sequence[Mapping[str, float]], names: Sequence[str]) -> bool:
    return any(name in point for point in points for name in names)


def _curves(points: Sequence[Mapping[str, float]], names: Sequence[str]) -> bytes:
    """PNG of the curves of some metrics over the images seen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for name, colour in zip(names, _COLOURS, strict=False):
        known = [(point["images_seen"] / 1000, point[name]) for point in points if name in point]
        axes.plot(*zip(*known, strict=True), label=name, color=colour, linewidth=1.4)
    axes.set_xlabel("thousand images seen")
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    return buffer.getvalue()


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
