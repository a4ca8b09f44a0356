"""The step `train_worker`: a further pod that trains together with the pod of the step `train`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from faceforge.config import resolve
from faceforge.steps.tracked import Tracking
from faceforge.steps.workers import training_together
from faceforge.training.inputs import check_inputs


def run_train_worker(
    *, data: Path, preset: str, settings: str, checkpoints: str | None, worker: int, workers: int, tracking: Tracking
) -> None:
    """Computes this worker's share of every batch until training is over; the chief keeps and logs the model.

    Args:
        data: image set.
        preset: name.
        settings: overrides.
        checkpoints: folder or address of the run's checkpoints, which all workers share.
        worker: number of this worker, from 1.
        workers: number of all workers, with the chief.
        tracking: MLflow; used only if training starts from a registered version.
    """
    from faceforge.tracking.start import FRESH, starting_point

    config = resolve(preset, settings)
    check_inputs(data, config)
    with training_together(checkpoints, worker, workers) as meeting, tempfile.TemporaryDirectory() as scratch:
        if not meeting.needed:
            return
        # The chief's start, not `train.init_from`: an alias could have been moved in between.
        init_from = "" if meeting.start.startswith(FRESH) else meeting.start
        if init_from.startswith("models:"):
            from faceforge.tracking.runs import connect

            connect(tracking.uri)
        start = starting_point(init_from, None, None, Path(scratch))

        from faceforge.training.train import train_bundle

        train_bundle(data, Path(scratch) / "training", config, None, checkpoints, start.bundle)
