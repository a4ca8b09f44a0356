"""A search shared by several machines, each of which runs these functions as a task of its own.

    split -> search by every worker -> choose -> repeats by every worker -> select

Workers share the Optuna study, so that no two propose the same settings and early stopping compares all trials. They
also share the validation split and the classifier that trials are scored by. Each writes its trials into its own
folder; the tasks that follow read these folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.reference import comparable
from faceforge.files import atomic_folder
from faceforge.tuning.data import carve_validation
from faceforge.tuning.finalists import affordable_seeds, choose_finalists, rank
from faceforge.tuning.outcome import StudyOutcome
from faceforge.tuning.plan import StudyPlan
from faceforge.tuning.result import TrialResult
from faceforge.tuning.search import open_study, run_baseline, run_trials
from faceforge.tuning.space import parse_space
from faceforge.tuning.study import check_plan, conclude, study_facts
from faceforge.tuning.trial import StudyLog, TrialRunner, Untracked

IMAGES, CLASSIFIER, TRIALS = "images", "classifier", "trials"


@dataclass(frozen=True)
class Worker:
    """One of the machines.

    Attributes:
        number: from 0.
        count: of all workers.
    """

    number: int
    count: int


def split(plan: StudyPlan, data: Path, out: Path, workers: int) -> None:
    """Writes what all workers need: the search's image set and the classifier that trials are scored by.

    Args:
        plan: of the whole search.
        data: image set, as ingest wrote it.
        out: folder of both.
        workers: how many machines share the trials.

    Raises:
        FaceForgeError: unusable data, settings or space, or a budget that is too small for these workers.
    """
    from faceforge.evaluation.reference import prepare

    images, _ = check_plan(plan, data)
    plan.budget.check(plan.trial_kimg, workers)
    search = carve_validation(images, out / IMAGES)
    config = resolve(plan.preset, plan.settings).evaluate
    prepare(search, out / CLASSIFIER, config, comparable(search.info, config))


def search_trials(
    plan: StudyPlan, shared: Path, out: Path, worker: Worker, log: StudyLog | None = None, study: str = ""
) -> None:
    """Trains one worker's trials of the search; the first worker begins with the preset itself.

    Args:
        plan: of the whole search.
        shared: written by `split`.
        out: the worker's folder; the same folder continues its work.
        worker: which one.
        log: where trials are tracked.
        study: name of the study; empty: made of preset and data.

    Raises:
        FaceForgeError: the storage cannot be used, or trials fail.
    """
    runner, seed = _runner(plan, shared, out, log), plan.seed_list[0]
    space = parse_space(plan.space, plan.preset, plan.settings)
    optuna_study = open_study(plan.storage, out, study_facts(plan, runner.search.info.parent_digest), seed, study)
    if worker.number == 0:
        run_baseline(optuna_study, runner, space, seed)
    budget = replace(plan.budget, amount=plan.budget.amount / worker.count)
    run_trials(optuna_study, runner, space, budget, seed)


def choose(searched: Sequence[Path], out: Path) -> None:
    """Gathers the trials of a search: the results of all, and everything of the finalists.

    Args:
        searched: folders of all workers of the search.
        out: folder of the result.

    Raises:
        FaceForgeError: the baseline is missing.
    """
    results = read_results(searched)
    finalists = {result.name for result in choose_finalists(results)}
    for result in results:
        source = next(folder / TRIALS / result.name for folder in searched if (folder / TRIALS / result.name).is_dir())
        if result.name in finalists:
            shutil.copytree(source, out / TRIALS / result.name)
        else:
            result.write(out / TRIALS / result.name)


def repeat_trials(
    plan: StudyPlan, shared: Path, chosen: Path, out: Path, worker: Worker, log: StudyLog | None = None
) -> None:
    """Trains one worker's share of the repeats: the preset and the best settings with further seeds.

    Args:
        plan: of the whole search.
        shared: written by `split`.
        chosen: written by `choose`.
        out: the worker's folder; the same folder continues its work.
        worker: which one.
        log: where trials are tracked.
    """
    results = read_results([chosen])
    finalists = choose_finalists(results)
    seeds = affordable_seeds(finalists, results, plan.budget, plan.seed_list)
    repeats = [(result.settings, seed) for seed in seeds for result in finalists]
    runner = _runner(plan, shared, out, log)
    for settings, seed in repeats[worker.number :: worker.count]:
        runner.run(settings, seed)


def select(
    plan: StudyPlan, data: Path, shared: Path, chosen: Path, repeated: Sequence[Path], out: Path
) -> StudyOutcome:
    """Compares the finalists over their seeds, evaluates them on the holdout and writes the page.

    Args:
        plan: of the whole search.
        data: image set, as ingest wrote it, with the holdout.
        shared: written by `split`.
        chosen: written by `choose`.
        repeated: folders of all workers of the repeats.
        out: gets `study.json`, `study.html` and the trials of the finalists.
    """
    images, _ = check_plan(plan, data)
    results = read_results([chosen])
    finalists = rank(choose_finalists(results), [*results, *_read(repeated)], plan.seed_list)
    for folder in (chosen, *repeated):
        shutil.copytree(folder / TRIALS, out / TRIALS, dirs_exist_ok=True)
    return conclude(plan, images, _runner(plan, shared, out, None), results, finalists)


def copy_trials(folder: Path, out: Path) -> None:
    """Copies the trials of a worker's folder to the output of its task, at once or not at all."""
    (folder / TRIALS).mkdir(exist_ok=True)
    with atomic_folder(out) as partial:
        shutil.copytree(folder / TRIALS, partial / TRIALS)


def read_results(folders: Sequence[Path]) -> list[TrialResult]:
    """The results of a search by several workers, the baseline first; of settings that two have tried, one result.

    Raises:
        FaceForgeError: the baseline is missing.
    """
    results = {result.name: result for result in reversed(_read(folders))}
    baseline = next((result for result in results.values() if not result.settings), None)
    if baseline is None:
        raise FaceForgeError("the preset itself was not trained: the first worker of the search has no result")
    return [baseline, *(results[name] for name in sorted(results) if results[name].settings)]


def _read(folders: Sequence[Path]) -> list[TrialResult]:
    found = (TrialResult.read(trial) for folder in folders for trial in sorted(folder.glob(f"{TRIALS}/*")))
    return [result for result in found if result is not None]


def _runner(plan: StudyPlan, shared: Path, out: Path, log: StudyLog | None) -> TrialRunner:
    out.mkdir(parents=True, exist_ok=True)
    return TrialRunner(
        search=ImageSet.open(shared / IMAGES),
        folder=out,
        preset=plan.preset,
        settings=plan.settings,
        log=log or Untracked(),
        classifier=shared / CLASSIFIER,
    )
