"""The step `select` of a search by several workers: trials of all workers -> the best settings and their page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceforge.steps.log_study import log_outcome
from faceforge.steps.tracked import Tracking, tracked
from faceforge.tuning.plan import parse_plan
from faceforge.tuning.study import PAGE, STUDY_FILE
from faceforge.tuning.workers import select


def run_select(
    *,
    data: Path,
    shared: Path,
    chosen: Path,
    repeated: Sequence[Path],
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    out: Path,
    tracking: Tracking,
) -> str:
    """Evaluates the finalists on the holdout; see `faceforge.tuning.workers.select`.

    Args:
        data: image set, as ingest wrote it.
        shared: written by `split`.
        chosen: written by `choose`.
        repeated: outputs of `repeat`, one per worker.
        preset, settings, budget, space, seeds: as for `split`.
        out: gets `study.json` and `study.html`.
        tracking: MLflow.

    Returns:
        the best settings, as `--set` takes them.
    """
    plan = parse_plan(preset, settings, budget, space, seeds)
    with tracked("select", tracking) as run:
        outcome = select(plan, data, shared, chosen, repeated, out)
        log_outcome(run, outcome, [out / PAGE, out / STUDY_FILE])
    (out / "summary.txt").write_text(f"{outcome.summary()}\n", encoding="utf-8")
    print(outcome.summary(), flush=True)
    return outcome.line
