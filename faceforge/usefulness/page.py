"""The result as a page (one self-contained HTML file) and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceforge.templates import template_environment
from faceforge.usefulness.ranking import METRICS

if TYPE_CHECKING:
    from faceforge.usefulness.result import UsefulnessResult

PAGE = "usefulness.html"


def render(result: UsefulnessResult) -> str:
    """Renders the page."""
    template = template_environment("faceforge.usefulness").get_template("usefulness.html.jinja")
    return template.render(result=result, descriptions=METRICS)


def summary(result: UsefulnessResult) -> str:
    """A table of all methods, and the verdict."""
    width = max(len(method.title) for method in result.methods)
    counts = result.counts
    lines = [
        f"{result.column} {result.name}: {counts['train_of_class']:,} of {counts['train']:,} training images, "
        f"{counts['samples_of_class']:,} samples, {counts['holdout_of_class']:,} of {counts['holdout']:,} held-out "
        f"images · {result.seeds} seeds",
        f"{'trained by':<{width}}  {'AUC':<20}  {'average precision':<20}  {'recall, 5 % false':<20}  recall",
    ]
    for method in result.methods:
        cells = [f"{m.value:.3f} [{m.low:.3f}, {m.high:.3f}]" for m in method.metrics.values()]
        lines.append(f"{method.title:<{width}}  {'  '.join(f'{cell:<20}' for cell in cells)}  {method.recall:.3f}")
    if result.gap_closed is not None:
        lines.append(f"share of the gap to more real images that the best use closes: {result.gap_closed:.0%}")
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes), result.verdict])
