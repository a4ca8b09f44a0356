"""Runs trials: trains one configuration, stops it early if it falls behind, and scores it on the validation split."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceforge.config import Config, parse_settings, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.tuning.data import augmented
from faceforge.tuning.result import OBJECTIVE, TrialResult
from faceforge.tuning.space import Settings

if TYPE_CHECKING:
    from faceforge.evaluation.reference import EvaluationReference
    from faceforge.training.training_log import Observer

# (number of the check, from 1; its value) -> whether to stop the trial
Report = Callable[[int, float], bool]


class TrialLog(Protocol):
    """Where one trial is tracked."""

    @property
    def observer(self) -> Observer | None:
        """Follows the training."""

    def finish(self, result: TrialResult) -> None:
        """Records the result."""


class StudyLog(Protocol):
    """Where the trials of a search are tracked."""

    def trial(self, name: str, config: Config, folder: Path) -> AbstractContextManager[TrialLog]:
        """Opens the record of one trial; called again when an interrupted trial continues."""


@dataclass
class Untracked:
    """Tracks nothing; a `StudyLog` and a `TrialLog`."""

    observer: Observer | None = None

    @contextmanager
    def trial(self, name: str, config: Config, folder: Path) -> Iterator[Untracked]:
        """Opens nothing."""
        yield self

    def finish(self, result: TrialResult) -> None:
        """Records nothing."""


@dataclass
class TrialRunner:
    """Runs trials of one search; every trial has a folder and runs once.

    Attributes:
        search: image set whose `holdout` is the validation split.
        folder: gets a folder per trial.
        preset: the preset that all trials start from.
        settings: settings that are the same in all trials.
        log: where trials are tracked.
        classifier: folder of the classifier whose features trials are scored in; None: a folder in `folder`.
    """

    search: ImageSet
    folder: Path
    preset: str
    settings: str
    log: StudyLog = field(default_factory=Untracked)
    classifier: Path | None = None
    _reference: EvaluationReference | None = field(default=None, init=False)

    def config(self, settings: Settings, seed: int) -> Config:
        """The configuration of a trial.

        Raises:
            FaceForgeError: the settings contradict each other.
        """
        return resolve(self.preset, {**parse_settings(self.settings), **settings, "train.seed": seed})

    def path(self, settings: Settings, seed: int) -> Path:
        """The folder of a trial."""
        text = json.dumps([self.preset, self.settings, settings], sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:8] if settings else "baseline"
        return self.folder / "trials" / f"{name}-seed{seed}"

    def result(self, settings: Settings, seed: int) -> TrialResult | None:
        """The result of a trial that has ended, else None."""
        return TrialResult.read(self.path(settings, seed))

    def results(self) -> list[TrialResult]:
        """All results so far, in the order of their names."""
        results = map(TrialResult.read, sorted(self.folder.glob("trials/*")))
        return [result for result in results if result is not None]

    def run(self, settings: Settings, seed: int, report: Report | None = None) -> TrialResult:
        """Runs a trial, continues an interrupted one, or returns the result of one that has ended.

        Args:
            settings: of the search space.
            seed: `train.seed`.
            report: is called at each check; None: the trial is never stopped.
        """
        if (known := self.result(settings, seed)) is not None:
            return known
        folder, began = self.path(settings, seed), time.monotonic()
        facts: dict[str, Any] = {"name": folder.name, "settings": settings, "seed": seed}
        try:
            config = self.config(settings, seed)
        except FaceForgeError as error:
            result = TrialResult(**facts, state="failed", reason=str(error))
        else:
            with self.log.trial(folder.name, config, folder) as log:
                outcome = self._train_and_score(config, folder, log.observer, report)
                result = TrialResult(**facts, seconds=time.monotonic() - began, **outcome)
                log.finish(result)
        result.write(folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return result

    def _train_and_score(
        self, config: Config, folder: Path, observer: Observer | None, report: Report | None
    ) -> dict[str, Any]:
        """State, images, checks and metrics of a trial, as fields of `TrialResult`."""
        import keras

        from faceforge.evaluation.scores import score_model
        from faceforge.models.bundle import Bundle
        from faceforge.training.train import train_bundle

        keras.utils.clear_session()  # frees the graphs of earlier trials
        checks = _Checks(folder, observer, report, last=config.train.grids)
        data = augmented(self.search, config.augment, config.train.seed, self.folder / "augmented")
        try:
            bundle = Bundle.load(train_bundle(data, folder, config, checks))
        except _PrunedError:
            return {"state": "pruned", "kimg": checks.images_seen / 1000, "checks": checks.values}
        except FaceForgeError as error:
            return {"state": "failed", "kimg": checks.images_seen / 1000, "reason": str(error)}
        metrics = score_model(bundle, self._validation(config), config.evaluate).metrics
        metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if OBJECTIVE not in metrics:
            return {"state": "failed", "kimg": checks.images_seen / 1000, "reason": f"{OBJECTIVE} is not finite"}
        kimg = bundle.info.training["images_seen"] / 1000
        return {"state": "complete", "kimg": kimg, "checks": checks.values, "metrics": metrics}

    def _validation(self, config: Config) -> EvaluationReference:
        from faceforge.evaluation.reference import comparable, prepare

        if self._reference is None:
            compared = comparable(self.search.info, config.evaluate)
            self._reference = prepare(
                self.search, self.classifier or self.folder / "classifier", config.evaluate, compared
            )
        return self._reference


class _PrunedError(Exception):
    """Ends the training of a trial that falls behind."""


class _Checks:
    """Passes on what it observes, reports the checks of a run, and ends the run when it is to be pruned."""

    def __init__(self, folder: Path, observer: Observer | None, report: Report | None, last: int) -> None:
        self._folder, self._observer, self._report, self._last = folder, observer, report, last
        self.values: list[float] = []
        self.images_seen = 0

    def on_start(self, summary: dict[str, Any]) -> None:
        """Takes over the checks of earlier attempts."""
        file = self._folder / "metrics.jsonl"
        for line in file.read_text().splitlines() if file.is_file() else []:
            point = json.loads(line)
            self.images_seen = int(point["images_seen"])
            self._check(point)
        if self._observer is not None:
            self._observer.on_start(summary)

    def on_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """A point of the curves, with a check or without."""
        self.images_seen = images_seen
        if self._observer is not None:
            self._observer.on_metrics(metrics, images_seen)
        if self._check(metrics) and len(self.values) < self._last:
            raise _PrunedError

    def on_grid(self, grid: NDArray[np.uint8], images_seen: int, name: str) -> None:
        """A grid of images."""
        if self._observer is not None:
            self._observer.on_grid(grid, images_seen, name)

    def _check(self, metrics: Mapping[str, float]) -> bool:
        """Reports the check in a point, if there is one; returns whether to stop."""
        from faceforge.training.checks import DISTANCE

        value = metrics.get(DISTANCE)
        if value is None or not math.isfinite(value):
            return False
        self.values.append(value)
        return self._report is not None and self._report(len(self.values), value)
