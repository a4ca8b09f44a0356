"""The step `usefulness`: image set and synthetic image set -> whether and how the samples help a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceforge.data.imageset.reader import ImageSet
from faceforge.steps.log_data import log_input
from faceforge.steps.tracked import Tracking, tracked

if TYPE_CHECKING:
    from faceforge.usefulness.plan import UsefulnessPlan
    from faceforge.usefulness.result import UsefulnessResult


def run_usefulness(*, plan: UsefulnessPlan, tracking: Tracking | None) -> UsefulnessResult:
    """Compares classifiers trained with and without samples; see `faceforge.usefulness.measure`.

    Args:
        plan: image sets, class, folder and budget.
        tracking: None = no MLflow run.
    """
    from faceforge.usefulness.measure import RESULT, measure_usefulness
    from faceforge.usefulness.page import PAGE
    from faceforge.usefulness.plan import open_task

    open_task(plan)
    if tracking is None:
        return measure_usefulness(plan)

    from faceforge.tracking.runs import finish_parent

    with tracked("usefulness", tracking) as run:
        result = measure_usefulness(plan)
        run.headline(
            params={"label": result.column, "class": result.name, "seeds": result.seeds, "steps": result.steps},
            metrics=result.flat_metrics(),
            tags={"faceforge.usefulness": result.verdict},
            artifacts=[plan.out / RESULT, plan.out / PAGE],
        )
        log_input(run, ImageSet.open(plan.data).info)
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)
    return result
