"""The best settings of a search, repeated with other seeds and evaluated on the holdout."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict

from faceforge.data.imageset.reader import ImageSet
from faceforge.tuning.budget import SearchBudget
from faceforge.tuning.result import TrialResult
from faceforge.tuning.search import spent, trial_cost
from faceforge.tuning.space import settings_text
from faceforge.tuning.trial import TrialRunner

TOP = 2  # settings of the search that compete with the baseline


class Finalist(BaseModel):
    """Settings with the results of all seeds that every finalist was trained with.

    Attributes:
        settings: empty = the baseline.
        trials: one result per seed.
        holdout: metrics on the holdout, one set per seed; they decide nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, Any]
    trials: list[TrialResult]
    holdout: list[dict[str, float]] = []

    @property
    def value(self) -> float:
        """Mean objective on the validation split; infinite if a seed failed."""
        return fmean(trial.value for trial in self.trials)

    def summary(self, metric: str, on_holdout: bool) -> tuple[float, float] | None:
        """Mean and standard deviation of a metric over the seeds; None where it is missing."""
        sets = self.holdout if on_holdout else [trial.metrics for trial in self.trials]
        values = [metrics[metric] for metrics in sets if metric in metrics]
        return (fmean(values), stdev(values) if len(values) > 1 else 0.0) if values else None


def choose_finalists(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The baseline and the best complete trials of a search; `results` has the baseline first."""
    complete = [result for result in results[1:] if result.state == "complete"]
    return [results[0], *sorted(complete, key=lambda result: result.value)[:TOP]]


def repeat_best(
    runner: TrialRunner, results: Sequence[TrialResult], budget: SearchBudget, seeds: Sequence[int]
) -> list[Finalist]:
    """Trains the baseline and the best settings with further seeds; returns the finalists, best first.

    A seed is added only if the budget allows it for all finalists, so that they are compared on equal terms.

    Args:
        runner: runs the trials.
        results: of the search, the baseline first; all with the first seed.
        budget: of the whole search.
        seeds: the search's seed, then those to add.
    """
    chosen = choose_finalists(results)
    for seed in seeds[1:]:
        missing = sum(runner.result(result.settings, seed) is None for result in chosen)
        known = runner.results()
        if not budget.allows(spent(known, budget), missing * trial_cost(known, budget)):
            break
        for result in chosen:
            runner.run(result.settings, seed)
    return rank(chosen, runner.results(), seeds)


def affordable_seeds(
    chosen: Sequence[TrialResult], results: Sequence[TrialResult], budget: SearchBudget, seeds: Sequence[int]
) -> list[int]:
    """The seeds after the first that the budget allows for all finalists, judged by what a trial has cost so far."""
    cost = len(chosen) * trial_cost(results, budget)
    return [seed for number, seed in enumerate(seeds[1:], 1) if budget.allows(spent(results, budget), number * cost)]


def rank(chosen: Sequence[TrialResult], results: Sequence[TrialResult], seeds: Sequence[int]) -> list[Finalist]:
    """The finalists, best first, with the seeds that all of them were trained with.

    Args:
        chosen: the finalists' trials of the search.
        results: of all trials.
        seeds: the search's seed first.
    """
    known = {(settings_text(result.settings), result.seed): result for result in results}
    shared = [seed for seed in seeds if all((settings_text(result.settings), seed) in known for result in chosen)]
    finalists = [
        Finalist(settings=result.settings, trials=[known[settings_text(result.settings), seed] for seed in shared])
        for result in chosen
    ]
    return sorted(finalists, key=lambda finalist: finalist.value)


def evaluate_on_holdout(runner: TrialRunner, images: ImageSet, finalists: Sequence[Finalist]) -> list[Finalist]:
    """Adds the metrics on the holdout, which the search has never used."""
    from faceforge.evaluation.reference import comparable, prepare
    from faceforge.evaluation.scores import score_model
    from faceforge.models.bundle import Bundle

    config = runner.config({}, 0).evaluate
    reference = prepare(images, runner.folder / "holdout-classifier", config, comparable(images.info, config))
    evaluated = []
    for finalist in finalists:
        folders = [runner.path(trial.settings, trial.seed) for trial in finalist.trials if trial.state == "complete"]
        scores = [score_model(Bundle.load(folder / "bundle"), reference, config).metrics for folder in folders]
        holdout = [{name: value for name, value in metrics.items() if isfinite(value)} for metrics in scores]
        evaluated.append(finalist.model_copy(update={"holdout": holdout}))
    return evaluated
