"""The step `choose` of a search by several workers: trials of all workers -> the best settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from faceforge.files import atomic_folder
from faceforge.steps.tracked import Tracking, tracked
from faceforge.tuning.workers import choose, read_results


def run_choose(*, searched: Sequence[Path], out: Path, tracking: Tracking) -> None:
    """Gathers the trials of a search; see `faceforge.tuning.workers.choose`.

    Args:
        searched: outputs of `search`, one per worker.
        out: folder of the result.
        tracking: MLflow, which gets the number of trials in each state.
    """
    with tracked("choose", tracking) as run:
        with atomic_folder(out) as partial:
            choose(searched, partial)
        states = Counter(result.state for result in read_results([out]))
        run.log_metrics({f"trials/{state}": float(count) for state, count in states.items()})
