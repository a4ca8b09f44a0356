"""Real worker processes respond, die, hang and fail, and the work goes on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from faceforge.data.ingest import worker_pool
from faceforge.data.ingest.worker_pool import WorkerPool


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent to processes is found by them."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def work(items: list[int | str]) -> list[str]:
    return [work_on(item) for item in items]


def work_on(item: int | str) -> str:
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(60)
    if item == "fail":
        raise ZeroDivisionError("a bug of ours")
    return f"{item} done"


def in_batches(items: Iterable[int | str]) -> Iterator[list[int | str]]:
    rest = iter(items)
    while batch := list(islice(rest, 16)):
        yield batch


def note(items: list[str]) -> list[str]:
    for item in items:
        Path(item).write_text(str(os.getpid()))
    return [str(os.getpid())] * len(items)


def lost(item: int | str) -> list[str]:
    return [f"{item} lost"]


def test_results_come_in_order_and_a_death_costs_one_item() -> None:
    items: list[int | str] = [*range(40), "die", *range(40, 60)]
    with WorkerPool(work, lost, 2) as pool:
        results = list(chain.from_iterable(pool.map(in_batches(items))))
    assert results == [*(f"{n} done" for n in range(40)), "die lost", *(f"{n} done" for n in range(40, 60))]


def test_an_item_that_never_ends_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerPool(work, lost, 1) as pool:
        assert list(pool.map([["warm"]])) == [["warm done"]]
        monkeypatch.setattr(worker_pool, "TIMEOUT_SECONDS", 0.3)
        assert list(pool.map([["hang"]])) == [["hang lost"]]


def test_an_exception_in_a_worker_is_raised() -> None:
    with WorkerPool(work, lost, 1) as pool, pytest.raises(RuntimeError, match="a bug of ours"):
        list(pool.map([["fail"]]))


def test_a_worker_that_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with WorkerPool(work, lost, 1) as pool, pytest.raises(RuntimeError, match="could not start"):
        list(pool.map([["x"]]))


def test_no_process_is_left_running(tmp_path: Path) -> None:
    with WorkerPool(note, lost, 2) as pool:
        processes = {int(process) for [process] in pool.map([str(tmp_path / str(n))] for n in range(64))}
    assert processes
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_leaving_in_the_middle_waits_for_nobody() -> None:
    with pytest.raises(ZeroDivisionError), WorkerPool(work, lost, 2) as pool:
        for number, _ in enumerate(pool.map(in_batches(range(2000)))):
            if number == 2:
                raise ZeroDivisionError


def test_a_source_of_items_that_fails_ends_the_work() -> None:
    def items() -> Iterator[int]:
        yield from range(200)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), WorkerPool(work, lost, 2) as pool:
        list(pool.map(in_batches(items())))


@pytest.mark.parametrize("first", [[], [""]])
def test_modules_beside_the_images_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: list[str]
) -> None:
    for module in ("struct", "cv2", "tests"):
        (tmp_path / f"{module}.py").write_text("open('owned', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*first, *sys.path])  # '' is what interactive sessions have there
    with WorkerPool(work, lost, 1) as pool:
        assert list(pool.map([["x"]])) == [["x done"]]
    assert not (tmp_path / "owned").exists()
