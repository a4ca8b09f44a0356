"""A complete search: split, search, repeats of the best, evaluation on the holdout, page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.reference import comparable
from faceforge.files import atomic_file, exclusive_lock
from faceforge.training.inputs import check_inputs
from faceforge.tuning.budget import SEARCH_SHARE, SearchBudget
from faceforge.tuning.data import carve_validation
from faceforge.tuning.finalists import evaluate_on_holdout, repeat_best
from faceforge.tuning.outcome import StudyOutcome
from faceforge.tuning.search import open_study, search
from faceforge.tuning.space import SearchSpace, load_space
from faceforge.tuning.trial import StudyLog, TrialRunner, Untracked

STUDY_FILE, PAGE = "study.json", "study.html"


@dataclass(frozen=True)
class StudyPlan:
    """What to search.

    Attributes:
        data: image set, as ingest wrote it.
        out: folder of the search; the same folder continues it.
        preset: where the search starts.
        settings: settings that are the same in all trials, as `--set` takes them.
        budget: of search and repeats.
        space: TOML file; None: the default space of the preset.
        seeds: how many seeds the best settings are trained with.
        storage: database address of the study, to share it; empty: a file in `out`.
    """

    data: Path
    out: Path
    preset: str
    settings: str
    budget: SearchBudget
    space: Path | None = None
    seeds: int = 3
    storage: str = ""


def run_study(plan: StudyPlan, log: StudyLog | None = None) -> StudyOutcome:
    """Runs a search, or continues it, and writes `study.json` and `study.html` into its folder.

    Raises:
        FaceForgeError: unusable data, settings, space or storage, a budget that is too small, or a search that runs in
            this folder already.
    """
    images, space = check_plan(plan)
    plan.out.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(plan.out, busy=f"another search runs in {plan.out}; wait for it or choose another --out"):
        config = resolve(plan.preset, plan.settings)
        runner = TrialRunner(
            search=carve_validation(images, plan.out / "data"),
            folder=plan.out,
            preset=plan.preset,
            settings=plan.settings,
            log=log or Untracked(),
        )
        facts = {
            "preset": plan.preset,
            "settings": plan.settings,
            "data": images.info.digest,
            "space": space.model_dump(mode="json"),
        }
        seed = config.train.seed
        results = search(open_study(plan.storage, plan.out, facts, seed), runner, space, plan.budget, seed)
        finalists = repeat_best(runner, results, plan.budget, range(seed, seed + plan.seeds))
        outcome = StudyOutcome(
            preset=plan.preset,
            settings=plan.settings,
            dataset_digest=images.info.digest,
            space=space,
            images={
                "train": runner.search.info.counts["train"].total,
                "validation": runner.search.info.counts["holdout"].total,
                "holdout": images.info.counts["holdout"].total,
            },
            trials=results,
            finalists=evaluate_on_holdout(runner, images, finalists),
        )
        _write(outcome, plan.out)
    return outcome


def check_plan(plan: StudyPlan) -> tuple[ImageSet, SearchSpace]:
    """Opens the image set and reads the space, and checks everything that can be checked before work starts.

    Raises:
        FaceForgeError: see `run_study`.
    """
    config = resolve(plan.preset, plan.settings)
    images = check_inputs(plan.data, config).dataset
    space = load_space(plan.space, plan.preset, plan.settings)
    comparable(images.info, config.evaluate)
    if plan.seeds < 1:
        raise FaceForgeError(f"--seeds {plan.seeds}: at least 1 is needed")
    kimg = 0.0 if config.train.epochs or config.train.minutes else config.train.kimg
    if plan.budget.unit == "kimg" and plan.budget.amount * SEARCH_SHARE < 2 * kimg:
        least = 2 * kimg / SEARCH_SHARE
        raise FaceForgeError(
            f"a budget of {plan.budget.amount:g} kimg is too small for trials of {kimg:g} kimg: give at least "
            f"{least:.4g}kimg, or shorten the trials with --set train.kimg=..."
        )
    return images, space


def _write(outcome: StudyOutcome, folder: Path) -> None:
    from faceforge.tuning.page import render

    content = {**outcome.model_dump(mode="json"), "best": outcome.line}
    with atomic_file(folder / STUDY_FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
    with atomic_file(folder / PAGE) as partial:
        partial.write_text(render(outcome, folder), encoding="utf-8")
