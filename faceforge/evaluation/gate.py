"""The gate: may a candidate become champion?

It fails closed. Whatever is missing, not finite or not comparable leads to `hold` or `reject`, never to `promote`.
The rules are tried in order, and the first that speaks decides; `docs/evaluation.md` has them as a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from faceforge.config import EvaluateConfig

FRECHET, RECALL = "domain/frechet", "domain/recall"
AGREEMENT, REAL_ACCURACY = "domain/label_agreement", "domain/real_label_accuracy"
AGREEMENT_TOLERANCE = 0.02  # how much label agreement a new champion may lose against the old one

Verdict = Literal["promote", "hold", "reject"]


class Decision(BaseModel):
    """What becomes of a candidate, and why.

    Attributes:
        verdict: `promote` = becomes champion; `hold` = sound, but a person has to decide; `reject` = not fit for use.
        reasons: sentences for people, at least one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: list[str]


def decide(
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    same_data: bool,
    champion_error: str = "",
    config: EvaluateConfig,
) -> Decision:
    """Judges a candidate against fixed thresholds, then against the champion.

    Args:
        candidate: its metrics by name.
        champion: the champion's metrics, computed anew on the same holdout, sample counts and seed; None = there is
            none (or it could not be judged: then `champion_error` says why).
        same_data: whether champion and candidate learnt from comparable data. Only looked at if there is a champion.
        champion_error: why the existing champion could not be judged; empty if it could, or if there is none.
        config: the thresholds.
    """
    needed = _needed(candidate, champion)
    if broken := [name for name in needed if name in candidate and not math.isfinite(candidate[name])]:
        return _decision("reject", f"{', '.join(broken)} of the candidate is not a finite number")
    if missing := [name for name in needed if name not in candidate]:
        return _decision("hold", f"{', '.join(missing)} of the candidate is missing")
    if failures := _below_thresholds(candidate, config):
        return _decision("reject", *failures)
    if champion_error:
        return _decision("hold", f"there is a champion but it could not be judged: {champion_error}")
    if champion is None:
        return _decision("promote", "sound, and the first of its name: there is no champion yet")
    if not same_data:
        return _decision("hold", "the champion learnt from other data, so the two cannot be compared")
    return _against(candidate, champion, config)


def _needed(candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> list[str]:
    """Metrics without which there is no decision; those of labels as soon as either model speaks of them."""
    labelled = any(name in metrics for metrics in (candidate, champion or {}) for name in (AGREEMENT, REAL_ACCURACY))
    return [FRECHET, RECALL, *([AGREEMENT, REAL_ACCURACY] if labelled else [])]


def _below_thresholds(candidate: Mapping[str, float], config: EvaluateConfig) -> list[str]:
    failures = []
    if candidate[RECALL] < config.min_recall:
        failures.append(f"{RECALL} {candidate[RECALL]:.3f} is below evaluate.min_recall = {config.min_recall:g}")
    if AGREEMENT in candidate:
        least = config.min_label_agreement * candidate[REAL_ACCURACY]
        if candidate[AGREEMENT] < least:
            failures.append(
                f"{AGREEMENT} {candidate[AGREEMENT]:.3f} is below {least:.3f}, which is evaluate.min_label_agreement"
                f" = {config.min_label_agreement:g} of the accuracy on real images, {candidate[REAL_ACCURACY]:.3f}"
            )
    return failures


def _against(candidate: Mapping[str, float], champion: Mapping[str, float], config: EvaluateConfig) -> Decision:
    """The comparison proper, of two models whose metrics mean the same."""
    compared = [FRECHET, *([AGREEMENT] if AGREEMENT in champion else [])]
    if broken := [name for name in compared if not math.isfinite(champion.get(name, math.nan))]:
        return _decision("hold", f"{', '.join(broken)} of the champion is missing or not a finite number")
    new, old = candidate[FRECHET], champion[FRECHET]
    figures = f"{FRECHET} {new:.4g} against the champion's {old:.4g}"
    if new >= old:
        return _decision("hold", f"not better: {figures}")
    gain = (old - new) / old if old > 0 else 0.0
    if gain < config.min_improvement:
        return _decision(
            "hold", f"{figures} is {gain:.1%} better, less than evaluate.min_improvement = {config.min_improvement:g}"
        )
    if AGREEMENT in champion and candidate[AGREEMENT] < champion[AGREEMENT] - AGREEMENT_TOLERANCE:
        return _decision(
            "hold",
            f"{figures} is {gain:.1%} better, but {AGREEMENT} fell from {champion[AGREEMENT]:.3f}"
            f" to {candidate[AGREEMENT]:.3f}",
        )
    return _decision("promote", f"{figures} is {gain:.1%} better")


def _decision(verdict: Verdict, *reasons: str) -> Decision:
    return Decision(verdict=verdict, reasons=list(reasons))
