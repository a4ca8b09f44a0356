"""A complete search on one machine: split, search, repeats of the best, evaluation on the holdout, page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.reference import comparable
from faceforge.files import atomic_file, exclusive_lock
from faceforge.training.inputs import check_inputs
from faceforge.tuning.data import carve_validation
from faceforge.tuning.finalists import Finalist, evaluate_on_holdout, repeat_best
from faceforge.tuning.outcome import StudyOutcome
from faceforge.tuning.plan import StudyPlan
from faceforge.tuning.result import TrialResult
from faceforge.tuning.search import open_study, search
from faceforge.tuning.space import SearchSpace, parse_space
from faceforge.tuning.trial import StudyLog, TrialRunner, Untracked

STUDY_FILE, PAGE = "study.json", "study.html"


def run_study(plan: StudyPlan, data: Path, out: Path, log: StudyLog | None = None) -> StudyOutcome:
    """Runs a search, or continues it, and writes `study.json` and `study.html` into its folder `out`.

    Args:
        plan: what to search.
        data: image set, as ingest wrote it.
        out: folder of the search.
        log: where trials are tracked; None: nowhere.

    Raises:
        FaceForgeError: unusable data, settings, space or storage, a budget that is too small, or a search that runs in
            this folder already.
    """
    images, space = check_plan(plan, data)
    out.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(out, busy=f"another search runs in {out}; wait for it or choose another --out"):
        runner = TrialRunner(
            search=carve_validation(images, out / "data"),
            folder=out,
            preset=plan.preset,
            settings=plan.settings,
            log=log or Untracked(),
        )
        seeds = plan.seed_list
        study = open_study(plan.storage, out, study_facts(plan, images.info.digest), seeds[0])
        results = search(study, runner, space, plan.budget, seeds[0])
        finalists = repeat_best(runner, results, plan.budget, seeds)
        return conclude(plan, images, runner, results, finalists)


def study_facts(plan: StudyPlan, digest: str) -> dict[str, object]:
    """What all trials of a study share; `digest` is that of the image set."""
    space = parse_space(plan.space, plan.preset, plan.settings)
    return {
        "preset": plan.preset,
        "settings": plan.settings,
        "data": digest,
        "space": space.model_dump(mode="json"),
    }


def conclude(
    plan: StudyPlan,
    images: ImageSet,
    runner: TrialRunner,
    results: Sequence[TrialResult],
    finalists: Sequence[Finalist],
) -> StudyOutcome:
    """Evaluates the finalists on the holdout and writes `study.json` and `study.html` into the runner's folder.

    Args:
        plan: of the search.
        images: the image set with the holdout.
        runner: its folder has the trials of the finalists.
        results: of all trials of the search, the baseline first.
        finalists: best first.
    """
    outcome = StudyOutcome(
        preset=plan.preset,
        settings=plan.settings,
        dataset_digest=images.info.digest,
        space=parse_space(plan.space, plan.preset, plan.settings),
        images={
            "train": runner.search.info.counts["train"].total,
            "validation": runner.search.info.counts["holdout"].total,
            "holdout": images.info.counts["holdout"].total,
        },
        trials=list(results),
        finalists=evaluate_on_holdout(runner, images, finalists),
    )
    _write(outcome, runner.folder)
    return outcome


def check_plan(plan: StudyPlan, data: Path) -> tuple[ImageSet, SearchSpace]:
    """Opens the image set and reads the space, and checks everything that can be checked before work starts.

    Raises:
        FaceForgeError: see `run_study`.
    """
    config = resolve(plan.preset, plan.settings)
    images = check_inputs(data, config).dataset
    space = parse_space(plan.space, plan.preset, plan.settings)
    comparable(images.info, config.evaluate)
    if plan.seeds < 1:
        raise FaceForgeError(f"--seeds {plan.seeds}: at least 1 is needed")
    plan.budget.check(plan.trial_kimg)
    return images, space


def _write(outcome: StudyOutcome, folder: Path) -> None:
    from faceforge.tuning.page import render

    content = {**outcome.model_dump(mode="json"), "best": outcome.line}
    with atomic_file(folder / STUDY_FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
    with atomic_file(folder / PAGE) as partial:
        partial.write_text(render(outcome, folder), encoding="utf-8")
