"""Logs a search for settings to MLflow: a nested run per trial, the result on the parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.config import Config
from faceforge.steps.log_training import MlflowObserver
from faceforge.steps.tracked import Tracking, tracked
from faceforge.tracking.async_logger import AsyncLogger
from faceforge.tuning.result import OBJECTIVE

if TYPE_CHECKING:
    from faceforge.tracking.step_run import StepRun
    from faceforge.tuning.outcome import StudyOutcome
    from faceforge.tuning.result import TrialResult

STATE_TAG = "faceforge.trial_state"


@dataclass
class MlflowTrialLog:
    """The MLflow run of one trial; a `TrialLog` of `faceforge.tuning.trial`."""

    observer: MlflowObserver
    run: StepRun
    logger: AsyncLogger

    def finish(self, result: TrialResult) -> None:
        """Logs state, cost and validation metrics."""
        metrics = {f"validation/{name}": value for name, value in result.metrics.items()}
        metrics |= {"training/images_seen": result.kimg * 1000, "training/seconds": result.seconds}
        tags = {STATE_TAG: result.state, **({"faceforge.failure": result.reason} if result.reason else {})}
        self.logger.call("summary", lambda: self.run.log_metrics(metrics))
        self.logger.call("list of tags", lambda: self.run.set_tags(tags))


@dataclass(frozen=True)
class MlflowStudyLog:
    """Opens an MLflow run per trial; a `StudyLog` of `faceforge.tuning.trial`."""

    tracking: Tracking

    @contextmanager
    def trial(self, name: str, config: Config, folder: Path) -> Iterator[MlflowTrialLog]:
        """The nested run of one trial, with its settings; curves and sample grids follow while it trains."""
        recipe = config.model.model_dump(mode="json") | config.train.model_dump(mode="json")
        with tracked(name, self.tracking) as run, AsyncLogger(run, str(folder)) as logger:
            logger.call("list of parameters", lambda: run.log_params(recipe))
            yield MlflowTrialLog(MlflowObserver(logger, run, folder), run, logger)


def log_outcome(run: StepRun, outcome: StudyOutcome, files: list[Path]) -> None:
    """Logs the result of a search to its parent run: best settings, metrics beside the preset's, and the page."""
    metrics = {
        f"{name}/{OBJECTIVE}": summary[0]
        for name, finalist in (("tuned", outcome.best), ("preset", outcome.baseline))
        if (summary := finalist.summary(OBJECTIVE, on_holdout=True)) is not None
    }
    params = {"preset": outcome.preset, "trials": len(outcome.trials), "seeds": len(outcome.best.trials)}
    run.headline(metrics=metrics, params=params, tags={"faceforge.best_settings": outcome.line}, artifacts=files)
