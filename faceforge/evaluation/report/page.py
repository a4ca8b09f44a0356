"""The report as one HTML file that needs nothing else: styles and pictures are inside, no scripts, no addresses."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.figures import Picture, picture
from faceforge.evaluation.metrics.comparison import AGREEMENT, FRECHET, RECALL
from faceforge.evaluation.reference import Yardstick
from faceforge.evaluation.report import plots
from faceforge.evaluation.report.metric_descriptions import FLOOR, GROUPS, how_made
from faceforge.evaluation.report.pictures import real_and_generated
from faceforge.evaluation.report.results import HEADLINES, Evaluation, figure
from faceforge.evaluation.scores import Judged

TEMPLATE = "report.html.jinja"


def illustrate(evaluation: Evaluation, judged: Judged, yardstick: Yardstick, sheet: NDArray[np.uint8]) -> list[Picture]:
    """The pictures and plots of a report; `sheet` is the sheet of samples."""
    edge = yardstick.holdout.shape[1]
    real, generated = real_and_generated(judged, yardstick)
    rows = f"; a row per combination of {', '.join(judged.columns)}" if judged.columns else ""
    pictures = [
        picture("samples", "Samples", f"The same latents in every row{rows}." if rows else "", sheet, edge),
        picture("paired", "Real", f"Holdout images, as they come{rows}.", real, edge),
        picture("paired", "Generated", "Samples asked for the same labels, as they come.", generated, edge),
        Picture(
            "domain",
            "Where samples lie among real images",
            "Classifier features of holdout images and samples, in the plane of the holdout's two main directions."
            " Empty patches of blue: what the model does not draw.",
            plots.plane(yardstick.holdout_features, judged.evidence.features),
        ),
        Picture(
            "discriminator",
            "Logits of the discriminator",
            "The better it tells samples from real images, the farther apart the curves. Training images far to the"
            " right of holdout images: it has memorised them.",
            plots.distributions({name: logits for name, (logits, _) in judged.scored.items()}, "logit"),
        ),
    ]
    if any(found.known for found in evaluation.differences.values()):
        pictures.append(
            Picture(
                "differences",
                "Candidate against champion",
                "Bars hold the true difference at the stated confidence. To be promoted, every bar must lie to the"
                " right of its red tick.",
                plots.intervals(evaluation.differences, limits(evaluation)),
            )
        )
    return pictures


def limits(evaluation: Evaluation) -> dict[str, float]:
    """What the gate asks of the lower end of each difference."""
    settings = evaluation.settings
    return {
        FRECHET: float(settings["min_improvement"]),
        RECALL: -float(settings["max_recall_drop"]),
        AGREEMENT: -float(settings["max_agreement_drop"]),
    }


def render(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("faceforge.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: value if isinstance(value, str) else figure(value)
    environment.filters["inline"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    metrics = evaluation.compared_metrics
    prefixes = dict.fromkeys(name.partition("/")[0] for name in metrics)
    return environment.get_template(TEMPLATE).render(
        e=evaluation,
        champion=(evaluation.champion_name or "champion") if evaluation.champion_metrics else "",
        headlines=[name for name in HEADLINES if name in evaluation.metrics],
        groups=[
            (prefix, *GROUPS.get(prefix, (prefix, "")), [name for name in metrics if name.startswith(f"{prefix}/")])
            for prefix in prefixes
        ],
        pictures=pictures,
        how=lambda name: how_made(name, evaluation.how),
        floor=FLOOR,
        limits=limits(evaluation) if evaluation.differences else {},
    )
