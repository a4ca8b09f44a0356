"""The step `repeat` of a search by several workers: trains one worker's share of the repeats of the best settings."""

from __future__ import annotations

from pathlib import Path

from faceforge.steps.log_study import MlflowStudyLog
from faceforge.steps.tracked import Tracking
from faceforge.tuning.plan import parse_plan
from faceforge.tuning.workers import Worker, copy_trials, repeat_trials


def run_repeat(
    *,
    shared: Path,
    chosen: Path,
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    worker: int,
    workers: int,
    work: Path | None,
    out: Path,
    tracking: Tracking,
) -> None:
    """Trains the preset and the best settings with further seeds; see `faceforge.tuning.workers.repeat_trials`.

    Args:
        shared: written by `split`.
        chosen: written by `choose`.
        preset, settings, budget, space, seeds: as for `split`.
        worker: which one, from 0.
        workers: how many tasks share the trials.
        work: folder of this worker on a volume that outlives a pod; None: there is none.
        out: gets the trials.
        tracking: MLflow, where every trial is a nested run.
    """
    plan = parse_plan(preset, settings, budget, space, seeds)
    folder = work or Path(f"{out}.work")
    repeat_trials(plan, shared, chosen, folder, Worker(worker, workers), MlflowStudyLog(tracking))
    copy_trials(folder, out)
