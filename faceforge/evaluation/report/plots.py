"""The plots of a report, each as the bytes of a PNG file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.metrics.comparison import FRECHET, Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = NDArray[np.floating]
COLOURS = {"training images": "#8aa1b8", "holdout images": "#1f5f99", "samples": "#d9772b"}


def distributions(values: Mapping[str, Numbers], label: str) -> bytes:
    """Outlined histograms of several sets of numbers; the outermost 0.5 % at either end are cut off."""
    figure, axes = _canvas(6.4, 2.6)
    pooled = np.concatenate([part[np.isfinite(part)] for part in values.values()])
    low, high = np.quantile(pooled, [0.005, 0.995]) if pooled.size else (0.0, 1.0)
    bins = np.linspace(low, high if high > low else low + 1, 41)
    for name, part in values.items():
        shares = np.histogram(part, bins)[0] / max(len(part), 1)
        axes.stairs(shares, bins, label=name, color=COLOURS.get(name), linewidth=1.6)
    axes.set_xlabel(label)
    axes.set_yticks([])
    axes.legend(frameon=False)
    return _png(figure)


def plane(real: Numbers, samples: Numbers) -> bytes:
    """Scatter plot of holdout and sample features on the holdout's first two principal components."""
    figure, axes = _canvas(5.2, 4.2)
    centre = real.mean(axis=0)
    directions = np.linalg.svd(real - centre, full_matrices=False)[2][:2]
    for name, points in (("holdout images", real), ("samples", samples)):
        x, y = directions @ (points[np.isfinite(points).all(axis=1)][:2000] - centre).T
        axes.scatter(x, y, s=7, alpha=0.45, linewidths=0, label=name, color=COLOURS[name])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(frameon=False, markerscale=2.5)
    return _png(figure)


def intervals(differences: Mapping[str, Interval], limits: Mapping[str, float]) -> bytes:
    """Bar chart of the intervals of differences, with the gate's limit for each as a tick.

    Args:
        differences: by metric; those that are not known are left out.
        limits: by metric, the least value of the lower end.
    """
    known = {name: difference for name, difference in differences.items() if difference.known}
    figure, axes = _canvas(6.4, 0.8 + 0.45 * max(len(known), 1))
    for row, (name, known_difference) in enumerate(known.items()):
        low, high = known_difference.low, known_difference.high
        colour = "#2b7a4b" if low >= limits.get(name, 0.0) else "#8a8f98"
        axes.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
        axes.plot(known_difference.value, row, "o", color=colour)
        if name in limits:
            axes.plot([limits[name]] * 2, [row - 0.3, row + 0.3], color="#b3402a", linewidth=1.6)
    axes.axvline(0, color="#444", linewidth=0.8)
    names = [f"{name} (relative)" if name == FRECHET else name for name in known]
    axes.set_yticks(range(len(known)), names)
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlabel("worse  ←  candidate against champion  →  better")
    return _png(figure)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure outside pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    return buffer.getvalue()
