"""The search with real Optuna studies and an invented objective in place of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.tuning.budget import SearchBudget
from faceforge.tuning.finalists import repeat_best
from faceforge.tuning.result import OBJECTIVE, TrialResult
from faceforge.tuning.search import open_study, search, spent
from faceforge.tuning.space import SearchSpace
from tests.tuning.invented import InventedRunner, runner

SPACE = SearchSpace.model_validate({"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}})
FACTS = {"preset": "toy", "settings": "", "data": "0123456789abcdef", "space": SPACE.model_dump(mode="json")}


def run(
    runner: InventedRunner, kimg: float, space: SearchSpace = SPACE, facts: dict[str, Any] = FACTS
) -> list[TrialResult]:
    study = open_study("", runner.folder, {**facts, "space": space.model_dump(mode="json")}, seed=0)
    return search(study, runner, space, SearchBudget(kimg, "kimg"), seed=0)


def test_the_search_finds_better_settings_within_its_budget(images: ImageSet, out: Path) -> None:
    lab = runner(images, out)
    results = run(lab, 400)
    assert results[0].settings == {}  # the preset comes first
    assert results[0].state == "complete"
    best = min(results, key=lambda result: result.value)
    assert best.value < 0.5 * results[0].value
    assert 0.5 * 400 < spent(lab.results(), SearchBudget(400, "kimg")) <= 0.6 * 400


def test_bad_trials_are_stopped_early_and_good_ones_are_not(images: ImageSet, out: Path) -> None:
    results = run(runner(images, out), 600)
    pruned = [result for result in results if result.state == "pruned"]
    complete = [result for result in results[1:] if result.state == "complete"]
    assert len(pruned) >= len(complete) / 2
    assert all(len(result.checks) in (2, 4) for result in pruned)  # at the rungs
    first = {result.name: result.checks[1] for result in results}
    assert max(first[result.name] for result in complete) < max(first[result.name] for result in pruned)


def test_an_interrupted_search_continues_with_the_interrupted_trial(images: ImageSet, out: Path) -> None:
    lab = runner(images, out)
    run(lab, 100)
    finished = {result.name for result in lab.results()}
    killed = runner(images, out)
    killed.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        run(killed, 400)
    (interrupted,) = killed.started
    assert interrupted not in finished
    again = runner(images, out)
    run(again, 400)
    assert again.started[0] == interrupted  # the same settings in the same folder
    assert finished.isdisjoint(again.started)  # nothing is run twice
    study = open_study("", out, FACTS, seed=0)
    assert not study.get_trials(states=(optuna.trial.TrialState.RUNNING,))


def test_trials_of_other_searches_in_a_shared_storage_are_left_alone(images: ImageSet, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/shared.db"
    one, other = (runner(images, tmp_path / name) for name in ("one", "other"))
    study = open_study(storage, one.folder, FACTS, seed=0)
    running = study.ask()
    running.set_user_attr("owner", str(one.folder.resolve()))
    SPACE.suggest(running)
    search(open_study(storage, other.folder, FACTS, seed=0), other, SPACE, SearchBudget(100, "kimg"), seed=0)
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    assert states[0] == optuna.trial.TrialState.RUNNING
    assert len(states) > 4  # both see the other's trials


def test_an_exhausted_space_ends_the_search(images: ImageSet, out: Path) -> None:
    space = SearchSpace.model_validate({"train.learning_rate": [1e-3, 2e-3]})
    results = run(runner(images, out), 10_000, space)
    assert sorted(result.settings.get("train.learning_rate", 0) for result in results) == [0, 1e-3, 2e-3]


def test_failed_trials_are_left_out_and_several_in_a_row_end_the_search(images: ImageSet, out: Path) -> None:
    lab = runner(images, out)
    lab.fail = lambda config: config.train.learning_rate > 5e-3
    results = run(lab, 300)
    assert {"failed", "complete"} <= {result.state for result in results}
    hopeless = runner(images, out.with_name("hopeless"))
    hopeless.fail = lambda config: config.train.learning_rate != 5e-4
    with pytest.raises(FaceForgeError, match="5 trials in a row failed, the last with: losses diverge"):
        run(hopeless, 300)
    broken = runner(images, out.with_name("broken"))
    broken.fail = lambda config: True
    with pytest.raises(FaceForgeError, match="the preset itself cannot be trained"):
        run(broken, 300)


def test_an_unusable_storage_is_reported_without_its_password(tmp_path: Path) -> None:
    for storage in ("postgresql://me:secret@127.0.0.1:1/optuna", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(FaceForgeError, match="storage .* cannot be used") as error:
            open_study(storage, tmp_path, FACTS, seed=0)
        assert "secret" not in str(error.value)
        assert "\n" not in str(error.value)


def test_a_budget_for_the_preset_alone_is_too_small(images: ImageSet, out: Path) -> None:
    with pytest.raises(FaceForgeError, match="used up by the preset itself"):
        run(runner(images, out), 12)
    assert len(run(runner(images, out), 50)) > 1  # a larger budget continues


def test_another_search_in_the_same_folder_is_refused(images: ImageSet, out: Path) -> None:
    run(runner(images, out), 50)
    with pytest.raises(FaceForgeError, match="holds a search with other settings; choose another --out"):
        run(runner(images, out), 50, facts={**FACTS, "settings": "train.loss=bce"})


def test_finalists_are_compared_on_equal_seeds(images: ImageSet, out: Path) -> None:
    lab, budget = runner(images, out), SearchBudget(200, "kimg")
    results = run(lab, 200)
    finalists = repeat_best(lab, results, budget, range(5))
    assert len(finalists) == 3
    assert sum(not finalist.settings for finalist in finalists) == 1  # the preset competes
    seeds = [[trial.seed for trial in finalist.trials] for finalist in finalists]
    assert seeds[0] == seeds[1] == seeds[2]
    assert 1 < len(seeds[0]) <= 5
    assert [finalist.value for finalist in finalists] == sorted(finalist.value for finalist in finalists)
    assert spent(lab.results(), budget) <= 200
    mean, spread = finalists[0].summary(OBJECTIVE, on_holdout=False) or (0, 0)
    assert mean == pytest.approx(finalists[0].value)
    assert spread > 0
