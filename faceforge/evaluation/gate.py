"""The gate: decides from metrics whether a candidate becomes the champion.

It fails closed: metrics that are missing, not finite, not comparable or within the noise lead to `hold` or `reject`,
never to `promote`. The rules are applied in order and the first that matches decides; `docs/evaluation.md` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from faceforge.config import EvaluateConfig
from faceforge.evaluation.diagnostics.class_scores import ClassScores
from faceforge.evaluation.metrics.comparison import AGREEMENT, FRECHET, RECALL, Interval

REAL_ACCURACY = "domain/real_label_accuracy"
COPIES = ("privacy/copies_pixels", "privacy/copies_features")
PARTIAL_COPIES = ("privacy/copies_parts", "privacy/copies_blends")
COPIES_LIMIT, NEAR_EXACT = "privacy/copies_limit", "privacy/near_exact_copies"
FLOORS = (f"{FRECHET}_floor", f"{RECALL}_floor")

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
    classes: Sequence[ClassScores] | None,
    champion_classes: Mapping[str, Interval],
    own_data: bool,
    same_data: bool,
    champion_error: str = "",
    training: str = "",
    config: EvaluateConfig,
) -> Decision:
    """Compares a candidate with fixed limits, then with the champion.

    Args:
        candidate: its metrics by name.
        champion: the champion's metrics on the same holdout, sample counts and seed; None = there is none, or it could
            not be evaluated (see `champion_error`).
        differences: candidate against champion with intervals; see `faceforge.evaluation.metrics.comparison`.
        classes: the candidate's metrics per class; empty without labels, None = not measured.
        champion_classes: by `column=class`, the share of the champion's samples that show the class, with its interval;
            ignored without a champion.
        own_data: whether the candidate is known to have been trained without this holdout.
        same_data: the same for the champion; ignored without one.
        champion_error: why the existing champion could not be evaluated; empty if it could, or if there is none.
        training: how long the candidate was trained, for the reasons.
        config: the limits.
    """
    needed = _needed(candidate, champion)
    if broken := [name for name in needed if name in candidate and not math.isfinite(candidate[name])]:
        return _decision("reject", f"{', '.join(broken)} of the candidate is not a finite number.")
    if missing := [name for name in needed if name not in candidate]:
        return _decision("hold", f"{', '.join(missing)} of the candidate is missing.")
    if failures := [*_beyond_limits(candidate, config), *_copied_classes(classes or (), config)]:
        return _decision("reject", *failures)
    if classes is None and AGREEMENT in candidate:
        return _decision("hold", "The metrics per class are missing.")
    if doubts := [*_suspected_copies(candidate, config), *_broken_classes(classes or (), config)]:
        return _decision("hold", *doubts)
    if not own_data:
        return _decision("hold", "The candidate may have been trained on images of this holdout.")
    if champion_error:
        return _decision("hold", f"The champion could not be evaluated: {champion_error}")
    if champion is None:
        if failures := _below_absolute_limits(candidate, config):
            return _decision("hold", *failures, *filter(None, [training]))
        return _decision("promote", "Passed all checks. First version, so it becomes the champion.")
    if not same_data:
        return _decision("hold", "The champion was trained on other data and may have seen images of this holdout.")
    if doubts := _worse_classes(classes or (), champion_classes, config):
        return _decision("hold", *doubts)
    return _against(candidate, champion, differences, config)


def _needed(candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> list[str]:
    """Metrics that the decision needs; label metrics if either model has them."""
    labelled = any(name in metrics for metrics in (candidate, champion or {}) for name in (AGREEMENT, REAL_ACCURACY))
    partial = [name for name in PARTIAL_COPIES if name in candidate]
    return [
        *(FRECHET, RECALL, *COPIES, COPIES_LIMIT, NEAR_EXACT, *partial),
        *([AGREEMENT, REAL_ACCURACY] if labelled else []),
    ]


def _beyond_limits(candidate: Mapping[str, float], config: EvaluateConfig) -> list[str]:
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
        for name in (*COPIES, *PARTIAL_COPIES)
        if candidate.get(name, 0) > config.max_copies
    ]
    return failures


def _suspected_copies(candidate: Mapping[str, float], config: EvaluateConfig) -> list[str]:
    """More copies than chance explains, though fewer than lead to a rejection."""
    doubts = [
        f"{name} {candidate[name]:.3f} is above {candidate[COPIES_LIMIT]:.3f}, the most that chance gives with unseen"
        " real images: the model reproduces some training images."
        for name in (*COPIES, *PARTIAL_COPIES)
        if candidate.get(name, 0) > candidate[COPIES_LIMIT]
    ]
    if candidate[NEAR_EXACT] > config.max_near_exact_copies:
        doubts.append(
            f"{candidate[NEAR_EXACT]:.0f} samples are nearly exact copies of training images (evaluate"
            f".max_near_exact_copies = {config.max_near_exact_copies}); see the closest pairs in the report."
        )
    return doubts


def _copied_classes(classes: Sequence[ClassScores], config: EvaluateConfig) -> list[str]:
    """Classes that consist of copies."""
    return [
        f"{score.title}: {score.copies} of {score.samples} samples are copies of training images, more than"
        f" evaluate.max_copies = {config.max_copies:g}."
        for score in classes
        if score.copies > max(config.max_copies * score.samples, score.copies_limit)
    ]


def _broken_classes(classes: Sequence[ClassScores], config: EvaluateConfig) -> list[str]:
    """Classes that have wrong labels, copies or little variety, compared with real images of the class."""
    doubts = []
    for score in classes:
        # Only a sure difference counts: the upper end of the samples' interval, the lower end of the real images'.
        if score.agreement_high < config.min_class_agreement * score.real_agreement_low:
            doubts.append(
                f"{score.title}: only {score.agreement:.0%} of its samples show the class, {score.real_agreement:.0%}"
                f" of its real images do (evaluate.min_class_agreement = {config.min_class_agreement:g})."
            )
        if score.copies > score.copies_limit or score.near_exact_copies > config.max_near_exact_copies:
            doubts.append(
                f"{score.title}: {score.copies} of {score.samples} samples are copies of training images (chance gives"
                f" at most {score.copies_limit}), {score.near_exact_copies} of them nearly exact."
            )
        if any(value < config.min_class_diversity for value in (score.diversity, score.nearest)):
            doubts.append(
                f"{score.title}: its samples are less varied than its real images: distance {score.diversity:.2f} and"
                f" nearest distance {score.nearest:.2f} times theirs (evaluate.min_class_diversity ="
                f" {config.min_class_diversity:g})."
            )
    return doubts


def _worse_classes(
    classes: Sequence[ClassScores], champion: Mapping[str, Interval], config: EvaluateConfig
) -> list[str]:
    """Classes that surely fewer samples show than the champion's, whatever the overall metrics gained.

    Both have as many samples as needed, so this finds smaller faults of a rare class than its few real images do.
    The interval of the difference is Newcombe's (1998, "Interval estimation for the difference between independent
    proportions", method 10), from the intervals of both shares.
    """
    doubts = []
    for score in classes:
        if (known := champion.get(score.title)) is None:
            continue
        difference = score.agreement - known.value
        highest = difference + math.hypot(score.agreement_high - score.agreement, known.value - known.low)
        if highest < -config.max_agreement_drop:
            doubts.append(
                f"{score.title}: {score.agreement:.0%} of its samples show the class, {known.value:.0%} of the"
                f" champion's do (at least {-highest:.0%} less; evaluate.max_agreement_drop ="
                f" {config.max_agreement_drop:g})."
            )
    return doubts


def _below_absolute_limits(candidate: Mapping[str, float], config: EvaluateConfig) -> list[str]:
    """Limits of a first version, which no champion is compared with, relative to real images."""
    if missing := [name for name in FLOORS if not math.isfinite(candidate.get(name, math.nan))]:
        return [f"{', '.join(missing)} is missing or not a finite number."]
    failures = []
    if candidate[FRECHET] > config.max_frechet_ratio * candidate[FLOORS[0]]:
        failures.append(
            f"{FRECHET} {candidate[FRECHET]:.4g} is {candidate[FRECHET] / max(candidate[FLOORS[0]], 1e-12):.0f} times"
            f" that of real images, {candidate[FLOORS[0]]:.4g} (evaluate.max_frechet_ratio ="
            f" {config.max_frechet_ratio:g})."
        )
    if candidate[RECALL] < config.min_recall_ratio * candidate[FLOORS[1]]:
        failures.append(
            f"{RECALL} {candidate[RECALL]:.3f} is below {config.min_recall_ratio:g} (evaluate.min_recall_ratio) times"
            f" that of real images, {candidate[FLOORS[1]]:.3f}."
        )
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
