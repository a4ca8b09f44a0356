"""The page of a search: one self-contained HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.templates import template_environment
from faceforge.tuning.result import OBJECTIVE, TrialResult
from faceforge.tuning.space import Range, SearchSpace, settings_text

if TYPE_CHECKING:
    from faceforge.tuning.finalists import Finalist
    from faceforge.tuning.outcome import StudyOutcome

METRICS = (OBJECTIVE, "domain/recall", "domain/precision", "domain/label_agreement")
MIN_POINTS = 3  # complete trials, without the baseline, for a plot of the objective against each setting
_COLOUR = "#1f5f99"


def render(outcome: StudyOutcome, folder: Path) -> str:
    """Renders the page.

    Args:
        outcome: of the search.
        folder: of the search; sample grids are read from its trials.
    """
    environment = template_environment("faceforge.tuning")
    environment.filters["inline"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    proposed = [trial for trial in outcome.trials if trial.state == "complete" and trial.settings]
    return environment.get_template("study.html.jinja").render(
        outcome=outcome,
        objective=OBJECTIVE,
        metrics=[name for name in METRICS if name in outcome.baseline.trials[0].metrics],
        settings_text=settings_text,
        ranked=sorted(outcome.trials, key=lambda trial: trial.value),
        slices=slices(proposed, outcome.space) if len(proposed) >= MIN_POINTS else None,
        grids=_grids(outcome.finalists, folder),
    )


def slices(trials: Sequence[TrialResult], space: SearchSpace) -> bytes:
    """Plots the objective of trials of the search against each setting, as PNG bytes."""
    from matplotlib.figure import Figure

    names = list(space.root)
    figure = Figure(figsize=(3.0 * len(names), 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names, strict=True):
        dimension, values = space.root[name], [trial.settings[name] for trial in trials]
        if isinstance(dimension, Range):
            axes.set_xlim(dimension.low, dimension.high)
            axes.set_xscale("log" if dimension.log else "linear")
        else:  # choices stand side by side, whatever their size
            axes.set_xticks(range(len(dimension.root)), [str(choice) or "none" for choice in dimension.root])
            values = [dimension.root.index(value) for value in values]
        axes.plot(values, [trial.value for trial in trials], "o", color=_COLOUR, clip_on=False)
        axes.set_xlabel(name)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"{OBJECTIVE}, validation")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _grids(finalists: Sequence[Finalist], folder: Path) -> list[dict[str, Any]]:
    """The last sample grid of each finalist's first seed."""
    grids = []
    for finalist in finalists:
        trial = finalist.trials[0]
        files = sorted((folder / "trials" / trial.name / "grids").glob("*.png"))
        if files:
            grids.append({"title": "Baseline" if not finalist.settings else trial.name, "png": files[-1].read_bytes()})
    return grids
