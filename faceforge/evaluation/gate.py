"""The gate: decides from metrics whether a candidate becomes the champion.

It fails closed: metrics that are missing, not finite, not comparable or within the noise lead to `hold` or `reject`,
never to `promote`. The rules are applied in order and the first that matches decides; `docs/evaluation.md` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from faceforge.config import EvaluateConfig
from faceforge.evaluation.metrics.comparison import AGREEMENT, FRECHET, RECALL, Interval

REAL_ACCURACY = "domain/real_label_accuracy"
COPIES = ("privacy/copies_pixels", "privacy/copies_features")

Verdict = Literal["promote", "hold", "reject"]


class Decision(BaseModel):
    """The decision about a candidate and its reasons.

    Attributes:
        verdict: `promote` = becomes the champion; `hold` = is registered, a person decides; `reject` = unsuitable.
        reasons: at least one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: list[str]


def decide(
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    differences: Mapping[str, Interval],
    *,
    own_data: bool,
    same_data: bool,
    champion_error: str = "",
    config: EvaluateConfig,
) -> Decision:
    """Compares a candidate with fixed limits, then with the champion.

    Args:
        candidate: its metrics by name.
        champion: the champion's metrics on the same holdout, sample counts and seed; None = there is none, or it could
            not be evaluated (see `champion_error`).
        differences: candidate against champion with intervals; see `faceforge.evaluation.metrics.comparison`.
        own_data: whether the candidate is known to have been trained without this holdout.
        same_data: the same for the champion; ignored without one.
        champion_error: why the existing champion could not be evaluated; empty if it could, or if there is none.
        config: the limits.
    """
    needed = _needed(candidate, champion)
    if broken := [name for name in needed if name in candidate and not math.isfinite(candidate[name])]:
        return _decision("reject", f"{', '.join(broken)} of the candidate is not a finite number.")
    if missing := [name for name in needed if name not in candidate]:
        return _decision("hold", f"{', '.join(missing)} of the candidate is missing.")
    if failures := _beyond_thresholds(candidate, config):
        return _decision("reject", *failures)
    if not own_data:
        return _decision("hold", "The candidate may have been trained on images of this holdout.")
    if champion_error:
        return _decision("hold", f"The champion could not be evaluated: {champion_error}")
    if champion is None:
        return _decision("promote", "Passed all checks. First version, so it becomes the champion.")
    if not same_data:
        return _decision("hold", "The champion was trained on other data and may have seen images of this holdout.")
    return _against(candidate, champion, differences, config)


def _needed(candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> list[str]:
    """Metrics that the decision needs; label metrics if either model has them."""
    labelled = any(name in metrics for metrics in (candidate, champion or {}) for name in (AGREEMENT, REAL_ACCURACY))
    return [FRECHET, RECALL, *([AGREEMENT, REAL_ACCURACY] if labelled else []), *COPIES]


def _beyond_thresholds(candidate: Mapping[str, float], config: EvaluateConfig) -> list[str]:
    failures = []
    if config.max_frechet is not None and candidate[FRECHET] > config.max_frechet:
        failures.append(f"{FRECHET} {candidate[FRECHET]:.4g} is above evaluate.max_frechet = {config.max_frechet:g}.")
    if candidate[RECALL] < config.min_recall:
        failures.append(f"{RECALL} {candidate[RECALL]:.3f} is below evaluate.min_recall = {config.min_recall:g}.")
    if AGREEMENT in candidate:
        least = config.min_label_agreement * candidate[REAL_ACCURACY]
        if candidate[AGREEMENT] < least:
            failures.append(
                f"{AGREEMENT} {candidate[AGREEMENT]:.3f} is below {least:.3f} = evaluate.min_label_agreement"
                f" ({config.min_label_agreement:g}) x the accuracy on real images ({candidate[REAL_ACCURACY]:.3f})."
            )
    failures += [
        f"{name} {candidate[name]:.3f} is above evaluate.max_copies = {config.max_copies:g}: the model reproduces"
        " training images."
        for name in COPIES
        if candidate[name] > config.max_copies
    ]
    return failures


def _against(
    candidate: Mapping[str, float],
    champion: Mapping[str, float],
    differences: Mapping[str, Interval],
    config: EvaluateConfig,
) -> Decision:
    """Compares a candidate with a champion whose metrics are comparable."""
    compared = [FRECHET, RECALL, *([AGREEMENT] if AGREEMENT in champion else [])]
    if broken := [name for name in compared if not math.isfinite(champion.get(name, math.nan))]:
        return _decision("hold", f"{', '.join(broken)} of the champion is missing or not a finite number.")
    figures = f"{FRECHET} {candidate[FRECHET]:.4g} vs {champion[FRECHET]:.4g} of the champion"
    if candidate[FRECHET] >= champion[FRECHET]:
        return _decision("hold", f"Not better than the champion: {figures}.")
    if unknown := [name for name in compared if name not in differences or not differences[name].known]:
        return _decision("hold", f"The interval of the difference in {', '.join(unknown)} is not known.")
    gain = differences[FRECHET]
    better = f"{figures}: {gain.value:.1%} better ({gain.low:.1%} to {gain.high:.1%})"
    if gain.low <= 0:
        return _decision("hold", f"{better}, which may be chance.")
    if gain.low < config.min_improvement:
        return _decision(
            "hold", f"{better}; the lower end is below evaluate.min_improvement = {config.min_improvement:.1%}."
        )
    if losses := _losses(candidate, champion, differences, config):
        return _decision("hold", f"{better}, but {' and '.join(losses)}.")
    return _decision("promote", f"{better}.")


def _losses(
    candidate: Mapping[str, float],
    champion: Mapping[str, float],
    differences: Mapping[str, Interval],
    config: EvaluateConfig,
) -> list[str]:
    """Metrics in which a candidate with a better distance may be worse than allowed."""
    allowed = {AGREEMENT: ("max_agreement_drop", config.max_agreement_drop)} if AGREEMENT in champion else {}
    allowed[RECALL] = ("max_recall_drop", config.max_recall_drop)
    return [
        f"{name} went from {champion[name]:.3f} to {candidate[name]:.3f} ({differences[name].low:+.3f} to"
        f" {differences[name].high:+.3f}), which may be a loss of more than evaluate.{field} = {most:g}"
        for name, (field, most) in allowed.items()
        if differences[name].low < -most
    ]


def _decision(verdict: Verdict, *reasons: str) -> Decision:
    return Decision(verdict=verdict, reasons=list(reasons))
