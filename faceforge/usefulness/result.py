"""The comparison of all methods, and the verdict that follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.metrics.comparison import Interval
from faceforge.usefulness.methods import Method
from faceforge.usefulness.ranking import METRICS, Ranking

CONFIDENCE = 0.95


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MethodResult(_Part):
    """Metrics of one method on the held-out real images, mean over seeds.

    Attributes:
        name, title, description, uses_samples: of the method.
        metrics: `auc`, `average_precision` and `recall_at_5`, each with its 95 % interval.
        recall: share of the class's images that are classified as the class, without a fixed false alarm rate.
        per_seed: metric -> its value for each seed.
    """

    name: str
    title: str
    description: str
    uses_samples: bool
    metrics: dict[str, Interval]
    recall: float
    per_seed: dict[str, list[float]]


class Difference(_Part):
    """Metrics of a use of samples minus those of a baseline.

    Attributes:
        method: the use.
        baseline: what it is compared with.
        metrics: as in `MethodResult`; the intervals hold for all uses together (Bonferroni).
    """

    method: str
    baseline: str
    metrics: dict[str, Interval]


class UsefulnessResult(_Part):
    """Content of `usefulness.json`.

    Attributes:
        column, name: the label column and the class.
        counts: numbers of images: `train`, `holdout` and `samples`, each also as `..._of_class`.
        seeds: trainings per method.
        steps: of each training.
        methods: every method that was compared.
        differences: of every use of samples from every baseline.
        useful: uses whose AUC is above that of every baseline by more than the interval, while neither of the other
            metrics is below that of a baseline by more than the interval.
        harmful: uses whose AUC is below that of the best baseline by more than the interval.
        recommended: the best useful method; without one, the baseline with the highest AUC.
        gap_closed: share of the difference in AUC between the best baseline and `more_real` that the best use closes;
            None if the additional real images were not given or do not help.
        notes: what limits the comparison.
    """

    column: str
    name: str
    counts: dict[str, int]
    seeds: int
    steps: int
    methods: list[MethodResult]
    differences: list[Difference]
    useful: list[str]
    harmful: list[str]
    recommended: str
    gap_closed: float | None = None
    notes: list[str] = []

    def method(self, name: str) -> MethodResult:
        """The result of the method with this name."""
        return next(method for method in self.methods if method.name == name)

    @property
    def best_baseline(self) -> MethodResult:
        """The baseline with the highest AUC."""
        return max((m for m in self.methods if not m.uses_samples and m.name != "more_real"), key=_auc)

    @property
    def verdict(self) -> str:
        """One or two sentences: useful or not, and what to use."""
        best, use = self.best_baseline, max((m for m in self.methods if m.uses_samples), key=_auc)
        found = next(d for d in self.differences if (d.method, d.baseline) == (use.name, best.name)).metrics["auc"]
        change = (
            f"AUC {_auc(use):.3f} against {_auc(best):.3f} by the best baseline ({best.title}), difference "
            f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        )
        if self.useful:
            titles = " and ".join(self.method(name).title for name in self.useful)
            return f"The samples are useful: {titles}. Use {self.method(self.recommended).title}: {change}."
        if len(self.harmful) == sum(m.uses_samples for m in self.methods):
            return f"The samples are harmful in every use. Train without them, by {best.title}: {change}."
        return (
            f"The samples are not shown to be useful: no use of them is better than every baseline by more than the "
            f"interval. The best is {use.title}: {change}. Train by {best.title}."
        )

    def flat_metrics(self) -> dict[str, float]:
        """`usefulness/METHOD/METRIC`, for MLflow."""
        return {
            f"usefulness/{method.name}/{name}": interval.value
            for method in self.methods
            for name, interval in method.metrics.items()
        }


def compared(
    methods: Mapping[Method, Ranking], recalls: Mapping[Method, float]
) -> tuple[list[MethodResult], list[Difference]]:
    """The methods' results, and the differences of every use of samples from every baseline."""
    results = [
        MethodResult(
            name=method.name,
            title=method.title,
            description=method.description,
            uses_samples=method.uses_samples,
            metrics=_intervals(ranking, CONFIDENCE),
            recall=recalls[method],
            per_seed={name: ranking.values[:, place].tolist() for place, name in enumerate(METRICS)},
        )
        for method, ranking in methods.items()
    ]
    uses = [method for method in methods if method.uses_samples]
    confidence = 1 - (1 - CONFIDENCE) / max(len(uses), 1)
    differences = [
        Difference(
            method=use.name,
            baseline=baseline.name,
            metrics=_intervals(methods[use].minus(methods[baseline]), confidence, lowest=-1.0),
        )
        for use in uses
        for baseline in methods
        if not baseline.uses_samples and baseline.name != "more_real"
    ]
    return results, differences


def useful_methods(differences: list[Difference]) -> list[str]:
    """Methods that are better than every baseline; see `UsefulnessResult.useful`."""
    names = list(dict.fromkeys(difference.method for difference in differences))
    return [
        name
        for name in names
        if all(
            difference.metrics["auc"].low > 0 and all(metric.high >= 0 for metric in difference.metrics.values())
            for difference in differences
            if difference.method == name
        )
    ]


def harmful_methods(differences: list[Difference], best_baseline: str) -> list[str]:
    """Methods whose AUC is below that of the best baseline; see `UsefulnessResult.harmful`."""
    return [d.method for d in differences if d.baseline == best_baseline and d.metrics["auc"].high < 0]


def _intervals(ranking: Ranking, confidence: float, lowest: float = 0.0) -> dict[str, Interval]:
    return {name: ranking.interval(place, confidence, lowest) for place, name in enumerate(METRICS)}


def _auc(method: MethodResult) -> float:
    value = method.metrics["auc"].value
    return value if np.isfinite(value) else -np.inf
