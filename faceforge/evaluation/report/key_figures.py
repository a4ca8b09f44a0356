"""The five numbers of the report's first screen: in words, with a traffic light, against real images and champion."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from faceforge.evaluation.gate import COPIES, COPIES_LIMIT, PARTIAL_COPIES, REAL_ACCURACY
from faceforge.evaluation.metrics.comparison import AGREEMENT, FRECHET, RECALL
from faceforge.evaluation.report.results import Evaluation, figure

Light = Literal["good", "fair", "poor", "unknown"]
PRECISION, COVERAGE = "domain/precision", "domain/coverage"

GOOD_FRECHET_RATIO = 5.0
GOOD_PRECISION, FAIR_PRECISION = 0.85, 0.5
GOOD_RECALL = 0.6
GOOD_COVERAGE, FAIR_COVERAGE = 0.85, 0.4
GOOD_AGREEMENT = 0.95
"""Limits of the lights, relative to real images. The other limits are those of the gate (settings `evaluate.*`)."""

LIGHTS = (
    f"Good: distance up to {GOOD_FRECHET_RATIO:g} times that of real images; precision and coverage at least 85 %,"
    " recall 60 % and label agreement 95 % of theirs; no more copies than chance gives. Poor: beyond the limits of the"
    " decision, or below half the precision or 40 % of the coverage of real images."
)


class KeyFigure(NamedTuple):
    """One of the numbers that a report starts with.

    Attributes:
        metric: its name.
        title: what it tells, in words.
        better: which way is better.
        value: as text.
        light: good, fair or poor, against real images.
        against_real: the same for real images, in words.
        against_champion: comparison with the champion, in words; empty without one.
    """

    metric: str
    title: str
    better: Literal["higher", "lower"]
    value: str
    light: Light
    against_real: str
    against_champion: str


def key_figures(evaluation: Evaluation) -> list[KeyFigure]:
    """The key figures that an evaluation has: five with labels, five without."""
    limits = {"max_frechet_ratio": 30.0, "min_recall_ratio": 0.15, "min_label_agreement": 0.7, "max_copies": 0.05}
    limits |= {name: float(evaluation.settings[name]) for name in limits if name in evaluation.settings}
    return [
        *_frechet(evaluation, limits["max_frechet_ratio"]),
        *_share(evaluation, PRECISION, "Samples that look real", GOOD_PRECISION, FAIR_PRECISION),
        *_share(
            evaluation, RECALL, "Variety: real images that the model covers", GOOD_RECALL, limits["min_recall_ratio"]
        ),
        *(
            _share(
                evaluation, AGREEMENT, "Samples that show their label", GOOD_AGREEMENT, limits["min_label_agreement"]
            )
            if AGREEMENT in evaluation.metrics
            else _share(evaluation, COVERAGE, "Real images with a sample nearby", GOOD_COVERAGE, FAIR_COVERAGE)
        ),
        *_copies(evaluation, limits["max_copies"]),
    ]


def _frechet(evaluation: Evaluation, most: float) -> list[KeyFigure]:
    if FRECHET not in evaluation.metrics:
        return []
    value, real = evaluation.metrics[FRECHET], evaluation.real(FRECHET)
    ratio = value / real if real else math.nan
    against_real = f"{ratio:.1f} times that of real images ({figure(real)})" if math.isfinite(ratio) else ""
    colour = light(-ratio, -GOOD_FRECHET_RATIO, -most)
    return [
        KeyFigure(FRECHET, "Distance from real images", "lower", figure(value), colour, against_real,
                  _against_champion(evaluation, FRECHET, higher=False))
    ]  # fmt: skip


def _share(evaluation: Evaluation, metric: str, title: str, good: float, fair: float) -> list[KeyFigure]:
    if metric not in evaluation.metrics:
        return []
    value = evaluation.metrics[metric]
    real = evaluation.metrics.get(REAL_ACCURACY) if metric == AGREEMENT else evaluation.real(metric)
    colour = light(value / real, good, fair) if real else "unknown"
    against_real = f"real images: {real:.0%}" if real else ""
    champion = _against_champion(evaluation, metric, higher=True)
    return [KeyFigure(metric, title, "higher", _percent(value), colour, against_real, champion)]


def _copies(evaluation: Evaluation, most: float) -> list[KeyFigure]:
    """The space with most copies."""
    known = [name for name in (*COPIES, *PARTIAL_COPIES) if name in evaluation.metrics]
    if not known:
        return []
    metric = max(known, key=lambda name: evaluation.metrics[name])
    value, limit = evaluation.metrics[metric], evaluation.metrics.get(COPIES_LIMIT, math.nan)
    chance = (
        f"unseen real images: 1%, by chance up to {limit:.1%}" if math.isfinite(limit) else "unseen real images: 1%"
    )
    colour = light(-value, -limit, -most) if math.isfinite(limit) else "unknown"
    champion = _against_champion(evaluation, metric, higher=False)
    return [KeyFigure(metric, "Samples that copy a training image", "lower", f"{value:.1%}", colour, chance, champion)]


def light(value: float, good: float, fair: float) -> Light:
    """Higher is better; a value that is not finite is unknown."""
    if not math.isfinite(value):
        return "unknown"
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _against_champion(evaluation: Evaluation, metric: str, higher: bool) -> str:
    champion = evaluation.champion_metrics.get(metric)
    if champion is None:
        return ""
    shown = figure(champion) if metric == FRECHET else f"{champion:.1%}"
    value = evaluation.metrics[metric]
    difference = evaluation.differences.get(metric)
    if not (math.isfinite(value) and math.isfinite(champion)):
        return f"champion: {shown}"
    if value == champion:
        return f"as the champion ({shown})"
    better = (value > champion) == higher
    chance = difference is not None and difference.known and difference.low <= 0 <= difference.high
    return f"{'better' if better else 'worse'} than the champion ({shown}){', which may be chance' if chance else ''}"


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else str(value)
