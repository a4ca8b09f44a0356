"""The report as one self-contained HTML file: styles and pictures are embedded, without scripts or links."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from faceforge.data.pixels import to_png
from faceforge.evaluation.figures import Picture, Strips, shown_width
from faceforge.evaluation.metrics.comparison import AGREEMENT, FRECHET, RECALL
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.report import plots
from faceforge.evaluation.report.key_figures import LIGHTS, key_figures
from faceforge.evaluation.report.metric_descriptions import FLOOR, GROUPS, better, describe
from faceforge.evaluation.report.results import HEADLINES, Evaluation, figure
from faceforge.evaluation.scores import ModelScores
from faceforge.templates import template_environment

TEMPLATE = "report.html.jinja"


class Page(NamedTuple):
    """The pictures of a report.

    Attributes:
        samples: a row per class.
        paired: real beside generated images.
        pictures: the others.
    """

    samples: Strips
    paired: Strips
    pictures: Sequence[Picture]


def illustrate(evaluation: Evaluation, scores: ModelScores, reference: EvaluationReference) -> list[Picture]:
    """The plots of a report."""
    pictures = [
        Picture(
            "domain",
            "Samples and real images in feature space",
            "Classifier features of holdout images and samples, projected on the first two principal components of the"
            " holdout. Areas with holdout images only are not covered by the model.",
            plots.plane(reference.holdout_features, scores.evidence.features),
        ),
        Picture(
            "discriminator",
            "Logits of the discriminator",
            "The better the discriminator separates samples from real images, the farther apart the curves. Training"
            " images far to the right of holdout images: it has memorised them.",
            plots.distributions({name: logits for name, (logits, _) in scores.logits.items()}, "logit"),
        ),
    ]
    if any(difference.known for difference in evaluation.differences.values()):
        pictures.append(
            Picture(
                "differences",
                "Candidate against champion",
                "Bars are the intervals of the differences. For a promotion every bar must lie to the right of its red"
                " tick.",
                plots.intervals(evaluation.differences, limits(evaluation)),
            )
        )
    return pictures


def limits(evaluation: Evaluation) -> dict[str, float]:
    """The gate's limit for the lower end of the interval of each difference."""
    settings = evaluation.settings
    return {
        FRECHET: float(settings["min_improvement"]),
        RECALL: -float(settings["max_recall_drop"]),
        AGREEMENT: -float(settings["max_agreement_drop"]),
    }


def render(evaluation: Evaluation, page: Page) -> str:
    """Renders the report as HTML."""
    environment = template_environment("faceforge.evaluation.report")
    environment.filters["figure"] = lambda value: value if isinstance(value, str) else figure(value)
    environment.filters["inline"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    environment.filters["png"] = to_png
    environment.filters["shown_width"] = shown_width
    metrics = evaluation.compared_metrics
    prefixes = dict.fromkeys(name.partition("/")[0] for name in metrics)
    return environment.get_template(TEMPLATE).render(
        e=evaluation,
        champion=(evaluation.champion_name or "champion") if evaluation.champion_metrics else "",
        key_figures=key_figures(evaluation),
        lights=LIGHTS,
        headlines=[name for name in HEADLINES if name in evaluation.metrics],
        groups=[
            (prefix, *GROUPS.get(prefix, (prefix, "")), [name for name in metrics if name.startswith(f"{prefix}/")])
            for prefix in prefixes
        ],
        samples=page.samples,
        paired=page.paired,
        pictures=page.pictures,
        better=better,
        describe=lambda name: describe(name, evaluation.how),
        floor=FLOOR,
        limits=limits(evaluation) if evaluation.differences else {},
    )
