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
    complete = [result for result in results[1:] if result.state == "complete"]
    chosen = [results[0], *sorted(complete, key=lambda result: result.value)[:TOP]]
    trials = [[result] for result in chosen]
    for seed in seeds[1:]:
        missing = sum(runner.result(result.settings, seed) is None for result in chosen)
        if not budget.allows(spent(runner, budget), missing * trial_cost(runner, budget)):
            break
        for result, repeats in zip(chosen, trials, strict=True):
            repeats.append(runner.run(result.settings, seed))
    finalists = [
        Finalist(settings=result.settings, trials=repeats) for result, repeats in zip(chosen, trials, strict=True)
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
