"""The step `train`: image set -> model bundle."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.compute.workers import is_chief
from faceforge.config import Config, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.files import atomic_folder
from faceforge.steps.log_data import log_input
from faceforge.steps.tracked import Tracking, maybe_tracked
from faceforge.steps.workers import training_together
from faceforge.terminal import relative
from faceforge.training.inputs import check_inputs
from faceforge.training.training_log import LATEST

if TYPE_CHECKING:
    from faceforge.tracking.runs import StepRun
    from faceforge.training.training_log import Observer


def run_train(
    *,
    data: Path,
    preset: str,
    settings: str,
    work: Path,
    tracking: Tracking | None,
    model_name: str | None = None,
    checkpoints: str | None = None,
    out: Path | None = None,
    workers: int = 1,
) -> Path:
    """Trains a model bundle; see `faceforge.training.train`. Returns its folder.

    Args:
        data: image set.
        preset: name.
        settings: overrides.
        work: gets `bundle/`, `grids/` and `metrics.jsonl`; should outlive this attempt.
        tracking: None = no MLflow. Of several machines that train together, only the chief is tracked.
        model_name: registered model whose champion `train.init_from=champion` means; None: none, then that is refused.
        checkpoints: folder or address (`s3://...`) that outlives this attempt; None: `checkpoints` in `work`.
        out: folder for a copy of the bundle; None: no copy.
        workers: number of pods that train together; this is the chief, the others run `run_train_worker`. They meet
            beside `checkpoints`, which all of them must share.
    """
    config = resolve(preset, settings)
    check_inputs(data, config)  # before TensorFlow is imported and a run is opened
    with maybe_tracked("train", tracking if is_chief() else None, system_metrics=True) as run:
        bundle = _train(data, work, config, run, checkpoints, model_name, workers)
        if out is None:
            return bundle
        with atomic_folder(out) as partial:
            shutil.copytree(bundle, partial, dirs_exist_ok=True)
    return out


def _train(
    data: Path,
    work: Path,
    config: Config,
    run: StepRun | None,
    checkpoints: str | None,
    model_name: str | None,
    workers: int,
) -> Path:
    from faceforge.steps.log_training import log_training
    from faceforge.tracking.start import starting_point

    with tempfile.TemporaryDirectory() as scratch:
        start = starting_point(config.train.init_from, model_name, run, Path(scratch))
        if config.train.init_from:
            print(f"training starts from {start.name}", file=sys.stderr, flush=True)
        print(f"latest samples: {relative(work / LATEST)}", file=sys.stderr, flush=True)

        from faceforge.training.train import train_bundle  # imports TensorFlow: only after the start is known to exist

        def train(observer: Observer | None = None) -> Path:
            with training_together(checkpoints, 0, workers, start.name):
                return train_bundle(data, work, config, observer, checkpoints, start.bundle)

        if run is None:
            return train()
        log_input(run, ImageSet.open(data).info)
        return log_training(run, config, start, work, train)
