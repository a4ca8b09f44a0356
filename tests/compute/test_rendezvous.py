"""Workers that find each other through a folder: threads in place of pods."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from faceforge.compute import rendezvous
from faceforge.compute.rendezvous import Rendezvous
from faceforge.errors import FaceForgeError, UnavailableError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "_POLL_SECONDS", 0.01)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def start(
    pool: ThreadPoolExecutor, place: Path | str, index: int, count: int = 3, patience: float = 20
) -> Future[list[str]]:
    return pool.submit(Rendezvous(str(place), index, count).join, patience)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_workers_get_the_same_addresses(tmp_path: Path, pool: ThreadPoolExecutor, order: tuple[int, ...]) -> None:
    answers = [one.result() for one in [start(pool, tmp_path / "new", index) for index in order]]
    assert len(set(answers[0])) == 3
    assert answers[0] == answers[1] == answers[2]
    assert all(address.rpartition(":")[2].isdecimal() for address in answers[0])


def test_a_bucket_serves_as_well_and_carries_a_message(pool: ThreadPoolExecutor) -> None:
    chief, other = (Rendezvous("memory://runs/one/workers", index, 2, "hello" * (index == 0)) for index in (0, 1))
    waiting = pool.submit(chief.join, 20)
    assert other.join(20) == waiting.result()
    assert other.message == "hello"


def test_after_a_failure_nobody_meets_a_process_that_is_gone(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    first, *_ = [one.result() for one in [start(pool, tmp_path, index) for index in (0, 1, 2)]]
    again = [start(pool, tmp_path, index) for index in (0, 1)]
    with pytest.raises(TimeoutError):  # worker 2 has not come back, and its first ticket is used up
        again[0].result(0.3)
    again.append(start(pool, tmp_path, 2))
    second = [one.result() for one in again]
    assert second[0] == second[1] == second[2] != first


def test_one_that_died_while_it_waited_is_not_taken_for_present(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with pytest.raises(FaceForgeError):
        start(pool, tmp_path, 1, 2, patience=0).result()
    chief = start(pool, tmp_path, 0, 2)
    with pytest.raises(TimeoutError):
        chief.result(0.3)
    present = start(pool, tmp_path, 1, 2)
    assert chief.result() == present.result()


def test_when_training_is_over_only_worker_0_goes_on(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    assert len(start(pool, tmp_path, 0, 1).result()) == 1
    Rendezvous(str(tmp_path), 1, 2).finish()
    assert len(start(pool, tmp_path, 0, 2).result()) == 1
    assert start(pool, tmp_path, 1, 2).result() == []


def test_a_worker_that_does_not_come_is_an_error(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with pytest.raises(FaceForgeError, match="worker 1 has waited .* for the other 2: is there room in the cluster"):
        start(pool, tmp_path, 1, patience=0.05).result()


def test_a_store_that_cannot_be_used_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="workers: .*file/x cannot be used"):
        Rendezvous(str(tmp_path / "file" / "x"), 0, 2).join()
