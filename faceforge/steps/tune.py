"""The step `tune`: image set -> better settings for a preset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.steps.tracked import Tracking, tracked
from faceforge.tuning.plan import StudyPlan
from faceforge.tuning.study import PAGE, STUDY_FILE, check_plan, run_study

if TYPE_CHECKING:
    from faceforge.tuning.outcome import StudyOutcome


def run_tune(*, plan: StudyPlan, data: Path, out: Path, tracking: Tracking | None) -> StudyOutcome:
    """Searches for settings; see `faceforge.tuning.study.run_study`.

    Args:
        plan: preset, space and budget.
        data: image set, as ingest wrote it.
        out: folder of the search; the same folder continues it.
        tracking: MLflow, where the search is a run with a nested run per trial; None = no MLflow.
    """
    check_plan(plan, data)
    if tracking is None:
        return run_study(plan, data, out)

    from faceforge.steps.log_study import MlflowStudyLog, log_outcome
    from faceforge.tracking.runs import finish_parent

    outcome = run_study(plan, data, out, MlflowStudyLog(tracking))
    with tracked("tune", tracking) as run:
        log_outcome(run, outcome, [out / PAGE, out / STUDY_FILE])
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)
    return outcome
