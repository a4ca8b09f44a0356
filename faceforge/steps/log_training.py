"""Logs a training run to MLflow from a thread: an MLflow that does not answer neither stops nor slows training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceforge.tracking.async_logger import AsyncLogger
from faceforge.tracking.start import Start
from faceforge.tracking.tags import STARTED_TAG

if TYPE_CHECKING:
    from faceforge.config import Config
    from faceforge.tracking.runs import StepRun

_ON_PARENT = ("training/images_seen", "training/seconds")  # beside the losses and, after evaluate, the key metrics


def log_training(
    run: StepRun, config: Config, start: Start, work: Path, train: Callable[[MlflowObserver], Path]
) -> Path:
    """Trains while logging settings, start, curves, sample grids and summary to `run`; returns the bundle's folder.

    Args:
        run: run of the training step.
        config: sections `model` and `train` are logged.
        start: what training starts from.
        work: folder where training writes `metrics.jsonl` and `grids/`.
        train: trains with the given observer and returns the bundle's folder.
    """
    with AsyncLogger(
        run, f"{work / 'metrics.jsonl'} and {work / 'grids'}; run the same command again to log it"
    ) as logger:
        recipe = config.model.model_dump(mode="json") | config.train.model_dump(mode="json")
        logger.call("list of parameters", lambda: run.log_params(recipe))
        logger.call("list of tags", lambda: run.set_tags({STARTED_TAG: start.name}))
        logger.call("list of tags", lambda: run.headline(tags={STARTED_TAG: start.name}))
        bundle = train(MlflowObserver(logger, run, work))
        facts = json.loads((bundle / "bundle.json").read_text())["training"]
        metrics = {f"training/{name}": float(value) for name, value in facts.items() if _is_number(value)}
        logger.call("summary", lambda: run.log_metrics(metrics))
        shown = {name: value for name, value in metrics.items() if name in _ON_PARENT}
        logger.call("summary", lambda: run.headline(metrics=shown))
        logger.call("file", lambda: run.log_artifacts(bundle / "bundle.json"))
    return bundle


class MlflowObserver:
    """Logs what it observes; an `Observer` of `faceforge.training.training_log`."""

    def __init__(self, logger: AsyncLogger, run: StepRun, work: Path) -> None:
        self._logger, self._run, self._work = logger, run, work

    def on_start(self, summary: dict[str, Any]) -> None:
        """Training starts or continues: logs its summary, and first whatever an earlier attempt could not log."""
        tags = {f"training.{name}": value for name, value in summary.items()}
        self._logger.call("list of tags", lambda: self._run.set_tags(tags))
        file = self._work / "metrics.jsonl"
        for line in file.read_text().splitlines() if file.is_file() else []:
            point = json.loads(line)
            self.on_metrics(point, int(point.pop("images_seen")))
        for path in sorted((self._work / "grids").glob("*.png")):
            self._logger.call("image", partial(self._image, partial(_read, path), int(path.stem)))

    def on_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """One point of every curve."""
        self._logger.point({name: value for name, value in metrics.items() if math.isfinite(value)}, images_seen)

    def on_grid(self, grid: NDArray[np.uint8], images_seen: int, name: str = "samples") -> None:
        """A sample grid, uint8 (H, W, C)."""
        self._logger.call("image", partial(self._image, lambda: grid, images_seen, name), grid.nbytes)

    def _image(self, read: Callable[[], NDArray[np.uint8]], images_seen: int, name: str = "samples") -> None:
        self._run.log_image(read(), name, images_seen)


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
