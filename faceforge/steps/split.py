"""The step `split` of a search by several workers: image set -> the search's image set and its classifier."""

from __future__ import annotations

from pathlib import Path

from faceforge.steps.tracked import Tracking, tracked
from faceforge.tuning.plan import parse_plan
from faceforge.tuning.workers import split


def run_split(
    *,
    data: Path,
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    workers: int,
    out: Path,
    tracking: Tracking,
) -> None:
    """Writes what all workers need; see `faceforge.tuning.workers.split`.

    Args:
        data: image set, as ingest wrote it.
        preset: where the search starts.
        settings: settings that are the same in all trials.
        budget: of the whole search, for example `2h`.
        space: TOML text; '' = the default space.
        seeds: how many seeds the best settings are trained with.
        workers: how many tasks share the trials.
        out: folder of the result.
        tracking: MLflow.
    """
    plan = parse_plan(preset, settings, budget, space, seeds)
    with tracked("split", tracking) as run:
        split(plan, data, out, workers)
        run.headline(params={"budget": budget, "workers": workers})
