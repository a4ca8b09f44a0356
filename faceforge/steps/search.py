"""The step `search` of a search by several workers: trains one worker's trials."""

from __future__ import annotations

import os
from pathlib import Path

from faceforge.steps.log_study import MlflowStudyLog
from faceforge.steps.tracked import Tracking
from faceforge.tuning.plan import parse_plan
from faceforge.tuning.workers import Worker, copy_trials, search_trials


def run_search(
    *,
    shared: Path,
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
    """Trains one worker's trials; see `faceforge.tuning.workers.search_trials`.

    The study is kept in the database OPTUNA_STORAGE, else in a file beside `work`, else every worker has its own.

    Args:
        shared: written by `split`.
        preset, settings, budget, space, seeds: as for `split`.
        worker: which one, from 0.
        workers: how many tasks share the trials.
        work: folder of this worker on a volume that outlives a pod and that all workers mount; None: there is none.
        out: gets the trials.
        tracking: MLflow, where every trial is a nested run.
    """
    storage = os.environ.get("OPTUNA_STORAGE") or (str(work.with_name("study.log")) if work else "")
    if not storage and workers > 1:
        print(
            "the workers have no place for a common study, so each searches by itself: compile with "
            "--checkpoint-claim, or give OPTUNA_STORAGE by --secret",
            flush=True,
        )
    plan = parse_plan(preset, settings, budget, space, seeds, storage)
    folder = work or Path(f"{out}.work")
    log = MlflowStudyLog(tracking)
    search_trials(plan, shared, folder, Worker(worker, workers), log, study=tracking.run_key)
    copy_trials(folder, out)
