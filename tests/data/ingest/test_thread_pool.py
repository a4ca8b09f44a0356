"""Real threads: in order, few batches ahead, errors as they are; a hang is handed over to processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from faceforge.data.ingest import worker_pool
from faceforge.data.ingest.thread_pool import map_in_threads
from faceforge.data.pixels import workers


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions below are found by worker processes."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def work(items: list[str]) -> list[str]:
    for item in items:
        if item == "hang":
            time.sleep(60)
        if item == "fail":
            raise ZeroDivisionError("a bug of ours")
    return [f"{item} done" for item in items]


def lost(item: str) -> list[str]:
    return [f"{item} lost"]


def numbered(count: int, taken: list[int]) -> Iterator[list[str]]:
    for number in range(count):
        taken.append(number)
        yield [str(number)]


def test_results_come_in_order_and_few_batches_are_taken_ahead() -> None:
    taken: list[int] = []
    results = map_in_threads(work, lost, numbered(100, taken))
    assert next(results) == ["0 done"]
    assert len(taken) <= 2 * workers() + 2
    assert list(results) == [[f"{number} done"] for number in range(1, 100)]


def test_a_hang_costs_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "TIMEOUT_SECONDS", 1.0)
    batches = [["0", "1"], ["2", "hang", "3"], *([str(number)] for number in range(4, 30))]
    began = time.monotonic()
    results = list(chain.from_iterable(map_in_threads(work, lost, batches, timeout=0.5)))
    assert results == ["0 done", "1 done", "2 done", "hang lost", *(f"{number} done" for number in range(3, 30))]
    assert time.monotonic() - began < 50


def test_an_exception_is_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        list(map_in_threads(work, lost, [["1"], ["fail"]]))


def test_no_thread_works_on_after_an_error() -> None:
    """Threads inside a decoder while the interpreter ends would abort the program."""
    finished: list[str] = []

    def slow(items: list[str]) -> list[str]:
        if items == ["fail"]:
            raise ZeroDivisionError("a bug of ours")
        time.sleep(0.3)
        finished.extend(items)
        return items

    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(slow, lost, [["fail"], ["1"], ["2"]]))
    before = list(finished)
    time.sleep(0.5)
    assert finished == before
