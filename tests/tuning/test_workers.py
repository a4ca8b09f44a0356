"""A search by several workers, with an invented objective; the pipeline of it is tested in pipelines/local."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import faceforge.tuning.workers as workers
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.tuning.data import carve_validation
from faceforge.tuning.finalists import choose_finalists, rank
from faceforge.tuning.plan import StudyPlan, parse_plan
from faceforge.tuning.workers import Worker, choose, read_results, repeat_trials, search_trials
from tests.tuning.invented import KIMG, InventedRunner

SETTINGS = f"train.learning_rate=0.0005, train.kimg={KIMG}"
SPACE = '"train.gamma" = { low = 1.0, high = 9.0 }\n"train.ema_kimg" = { low = 1.0, high = 9.0 }'


@pytest.fixture(autouse=True)
def _invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TrialRunner", InventedRunner)


@pytest.fixture
def shared(images: ImageSet, tmp_path: Path) -> Path:
    carve_validation(images, tmp_path / "shared" / "images")
    return tmp_path / "shared"


def plan(budget: str = "400kimg", storage: Path | None = None) -> StudyPlan:
    return parse_plan("toy", SETTINGS, budget, SPACE, "3", str(storage or ""))


def searched(shared: Path, count: int, storage: Path | None) -> list[Path]:
    """Folders of workers that search at the same time."""
    folders = [shared.with_name(f"search-{number}") for number in range(count)]
    with ThreadPoolExecutor() as pool:
        tasks = [
            pool.submit(search_trials, plan(storage=storage), shared, folder, Worker(number, count))
            for number, folder in enumerate(folders)
        ]
    for task in tasks:
        task.result()
    return folders


def test_workers_share_one_study_and_one_budget(shared: Path, tmp_path: Path) -> None:
    folders = searched(shared, 3, tmp_path / "claim" / "study.log")
    results = [result for folder in folders for result in read_trials(folder)]
    assert sum(not result.settings for result in results) == 1  # the preset is trained once
    assert len({result.name for result in results}) == len(results)  # nothing is tried twice
    assert all(len(read_trials(folder)) > 1 for folder in folders)
    assert 0.5 * 0.6 * 400 < sum(result.kimg for result in results) <= 0.6 * 400 + 3 * KIMG


def test_repeats_are_divided_and_finalists_have_equal_seeds(shared: Path, tmp_path: Path) -> None:
    choose(searched(shared, 2, tmp_path / "study.log"), tmp_path / "chosen")
    folders = [tmp_path / f"repeat-{number}" for number in range(2)]
    for number, folder in enumerate(folders):
        repeat_trials(plan(), shared, tmp_path / "chosen", folder, Worker(number, 2))
    repeats = [[(result.name, result.seed) for result in read_trials(folder)] for folder in folders]
    assert not set(repeats[0]) & set(repeats[1])
    assert sorted(seed for part in repeats for _, seed in part) == [1, 1, 1, 2, 2, 2]
    results = read_results([tmp_path / "chosen"])
    found = [*results, *(result for folder in folders for result in read_trials(folder))]
    finalists = rank(choose_finalists(results), found, plan().seed_list)
    assert [[trial.seed for trial in finalist.trials] for finalist in finalists] == [[0, 1, 2]] * 3
    assert sum(result.kimg for result in found) <= 400


def test_a_budget_without_room_for_repeats_leaves_one_seed(shared: Path, tmp_path: Path) -> None:
    small = parse_plan("toy", SETTINGS, "35kimg", SPACE, "3")
    search_trials(small, shared, tmp_path / "one", Worker(0, 1))
    choose([tmp_path / "one"], tmp_path / "chosen")
    repeat_trials(small, shared, tmp_path / "chosen", tmp_path / "repeat", Worker(0, 1))
    assert not read_trials(tmp_path / "repeat")


def test_a_worker_that_was_stopped_repeats_nothing(shared: Path, tmp_path: Path) -> None:
    (folder,) = searched(shared, 1, tmp_path / "study.log")
    before = {file: file.stat().st_mtime_ns for file in folder.glob("trials/*/result.json")}
    search_trials(plan(storage=tmp_path / "study.log"), shared, folder, Worker(0, 1))
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_search_without_the_preset_is_refused(shared: Path, tmp_path: Path) -> None:
    search_trials(plan(), shared, tmp_path / "second", Worker(1, 2))
    with pytest.raises(FaceForgeError, match="the preset itself was not trained"):
        read_results([tmp_path / "second"])


def test_a_budget_must_allow_a_trial_per_worker() -> None:
    with pytest.raises(FaceForgeError, match=r"too small for trials of 10 kimg by 4 workers: give at least 83\.33kimg"):
        plan("50kimg").budget.check(KIMG, 4)


def read_trials(folder: Path) -> list[workers.TrialResult]:
    return InventedRunner(search=None, folder=folder, preset="toy", settings="").results()  # type: ignore[arg-type]
