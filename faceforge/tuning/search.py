"""The search: an Optuna study proposes settings, trials are pruned by successive halving.

The study lives in a storage, so that an interrupted search continues, and several searches (on several machines) can
share one: a database, or a file on a volume that all of them mount.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError, first_line
from faceforge.tuning.budget import SEARCH_SHARE, SearchBudget
from faceforge.tuning.result import TrialResult
from faceforge.tuning.space import SearchSpace
from faceforge.tuning.trial import Report, TrialRunner

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

MAX_REPEATS = 20  # proposals in a row that were tried before: the space is exhausted
MAX_FAILURES = 5  # trials in a row
FIRST_RUNG, REDUCTION = 2, 2  # pruned are the worse half after 2 checks, after 4, ...
_RANDOM_TRIALS = 8  # before the sampler models the objective
STUDY_LOG = "study.log"
_FACTS, _OWNER = "faceforge", "owner"  # attributes of studies and of trials


def open_study(storage: str, folder: Path, facts: dict[str, Any], seed: int, name: str = "") -> Study:
    """Opens the study of a search, or creates it.

    Args:
        storage: address of a database (`postgresql://...`) or path of a file, to share the study; empty: a file in
            `folder`.
        folder: of the search.
        facts: data, preset, settings and space, which all trials of a study share.
        seed: of the sampler. Searches that share a study add a number that depends on their folder, so that two that
            start at the same moment do not propose the same settings.
        name: of the study; empty: made of preset and data.

    Raises:
        FaceForgeError: Optuna is missing, the storage cannot be used, or it holds a search of other facts.
    """
    try:
        import optuna
    except ImportError:
        raise FaceForgeError("tuning needs Optuna: install FaceForge with the extra `tune`") from None

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = _public(storage or str(folder))
    try:
        study = optuna.create_study(
            study_name=name or f"{facts['preset']}-{facts['data'][:12]}",
            storage=_open_storage(storage or str(folder / STUDY_LOG)),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=REDUCTION),
            load_if_exists=True,
        )
        # A continued study must not draw the same random settings again.
        draws = len(study.get_trials(deepcopy=False)) + (
            zlib.crc32(str(folder.resolve()).encode()) % 2**31 if storage else 0
        )
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + draws, n_startup_trials=_RANDOM_TRIALS, constant_liar=True
        )
    except Exception as error:  # every database has errors of its own
        raise FaceForgeError(f"the study's storage {place} cannot be used: {_public(first_line(error))}") from None
    known = study.user_attrs.get(_FACTS)
    if known is None:
        study.set_user_attr(_FACTS, facts)
    elif differing := [name for name in facts if json.dumps(known.get(name)) != json.dumps(facts[name])]:
        raise FaceForgeError(f"{place} holds a search with other {', '.join(differing)}; choose another --out")
    return study


def search(study: Study, runner: TrialRunner, space: SearchSpace, budget: SearchBudget, seed: int) -> list[TrialResult]:
    """Trains the baseline, then proposed settings, until the search's share of the budget is spent.

    The baseline, which is the preset without changes, is never pruned.

    Returns:
        the results, baseline first.

    Raises:
        FaceForgeError: the baseline or several trials in a row failed, or the budget allows only the baseline.
    """
    baseline = run_baseline(study, runner, space, seed)
    results = runner.results()
    if len(results) == 1 and not allows_trial(results, budget):
        raise FaceForgeError(
            "the budget is used up by the preset itself; the same command with a larger --budget continues, "
            "--set train.kimg=... with another --out makes trials shorter"
        )
    run_trials(study, runner, space, budget, seed)
    return [baseline, *(result for result in runner.results() if result.seed == seed and result.settings)]


def run_baseline(study: Study, runner: TrialRunner, space: SearchSpace, seed: int) -> TrialResult:
    """Trains the preset without changes and adds it to the study.

    Raises:
        FaceForgeError: it cannot be trained.
    """
    baseline = runner.run({}, seed, None)
    if baseline.state != "complete":
        raise FaceForgeError(f"the preset itself cannot be trained: {baseline.reason}")
    _add_baseline(study, runner, space, baseline)
    return baseline


def run_trials(study: Study, runner: TrialRunner, space: SearchSpace, budget: SearchBudget, seed: int) -> None:
    """Trains settings that the study proposes, until the search's share of the budget is spent.

    Raises:
        FaceForgeError: several trials in a row failed.
    """
    _requeue_interrupted(study, str(runner.folder.resolve()))
    repeats, failures = 0, 0
    while repeats < MAX_REPEATS and allows_trial(runner.results(), budget):
        trial = study.ask()
        trial.set_user_attr(_OWNER, str(runner.folder.resolve()))
        settings = space.suggest(trial)
        repeats = repeats + 1 if runner.result(settings, seed) else 0
        result = runner.run(settings, seed, _report_to(trial))
        _tell(study, trial, result)
        failures = failures + 1 if result.state == "failed" else 0
        if failures == MAX_FAILURES:
            raise FaceForgeError(f"{MAX_FAILURES} trials in a row failed, the last with: {result.reason}")
        print(_line(trial.number, result), file=sys.stderr, flush=True)


def allows_trial(results: Sequence[TrialResult], budget: SearchBudget) -> bool:
    """Whether another trial fits into the search's share of the budget; the first one always does."""
    return budget.allows(spent(results, budget), trial_cost(results, budget), SEARCH_SHARE)


def spent(results: Sequence[TrialResult], budget: SearchBudget) -> float:
    """The part of the budget that is used up."""
    return sum(result.cost(budget) for result in results)


def trial_cost(results: Sequence[TrialResult], budget: SearchBudget) -> float:
    """The mean cost of a trial that is not pruned; of the most expensive one as long as none is complete."""
    costs = [result.cost(budget) for result in results if result.state == "complete"]
    return sum(costs) / len(costs) if costs else max((result.cost(budget) for result in results), default=0.0)


def _open_storage(place: str) -> Any:
    """A database by its address, or a file, whose lock also works on network volumes (NFS 2 and later)."""
    from optuna.storages import JournalStorage, get_storage
    from optuna.storages.journal import JournalFileBackend

    if "://" in place:
        return get_storage(place)
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(place))


def _public(text: str) -> str:
    """A text without the passwords of addresses in it."""
    return re.sub(r"://[^@/\s]*@", "://", text)


def _report_to(trial: Trial) -> Report:
    def report(check: int, value: float) -> bool:
        trial.report(value, check)
        return trial.should_prune()

    return report


def _tell(study: Study, trial: Trial, result: TrialResult) -> None:
    from optuna.trial import TrialState

    if result.state == "complete":
        study.tell(trial, result.value)
    else:  # the sampler ignores failed trials, but learns from pruned ones to avoid settings that diverge
        study.tell(trial, state=TrialState.PRUNED)


def _add_baseline(study: Study, runner: TrialRunner, space: SearchSpace, baseline: TrialResult) -> None:
    """Lets sampler and pruner know the baseline, if the preset's values lie in the space."""
    from optuna.trial import FixedTrial, create_trial

    values = space.values_of(runner.config({}, baseline.seed))
    if values is None or any(trial.user_attrs.get(_OWNER) == "baseline" for trial in study.get_trials(deepcopy=False)):
        return
    fixed = FixedTrial(values)
    space.suggest(fixed)  # type: ignore[arg-type]  # it has the same methods
    study.add_trial(
        create_trial(
            params=values,
            distributions=fixed.distributions,
            value=baseline.value,
            intermediate_values=dict(enumerate(baseline.checks, 1)),
            user_attrs={_OWNER: "baseline"},
        )
    )


def _requeue_interrupted(study: Study, owner: str) -> None:
    """Proposes the settings of this search's interrupted trials again; they continue in their old folder."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(_OWNER) == owner:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)


def _line(number: int, result: TrialResult) -> str:
    outcome = f"{result.value:.3f}" if result.state == "complete" else f"{result.state} {result.reason}".strip()
    settings = ", ".join(f"{name.partition('.')[2]}={value}" for name, value in result.settings.items())
    return f"trial {number}: {outcome} · {settings}"
