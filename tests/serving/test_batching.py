from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.serving.batching import BatchedModel, Batcher, TooSlowError, time_limit


class Model:
    """Answers with the sum of what it is given, once it is let; remembers how many rows each call had."""

    info = "facts"

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def generate(self, latents: np.ndarray, labels: np.ndarray, batch: int = 256) -> Any:
        self.begun.set()
        assert self.may_go_on.wait(20)
        self.calls.append(len(latents))
        if (latents < 0).any():
            raise FaceForgeError("negative")
        return latents.sum(1) + labels[:, 0]

    def logits(self, images: np.ndarray, labels: np.ndarray, batch: int = 256) -> Any:
        self.calls.append(-len(images))
        return -images.sum(1)


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(8)
    yield made
    made.close()


def rows(count: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((count, 2), value), np.ones((count, 1), np.int32)


def hold(model: Model, shared: BatchedModel, pool: ThreadPoolExecutor) -> Any:
    """A call that keeps the network busy until `may_go_on`."""
    model.may_go_on.clear()
    first = pool.submit(shared.generate, *rows(1, 0))
    assert model.begun.wait(20)
    return first


def test_requests_queued_during_a_call_share_the_next_one(batcher: Batcher) -> None:
    model = Model()
    shared = BatchedModel(model, batcher)
    assert shared.info == "facts"
    with ThreadPoolExecutor(8) as pool:
        first = hold(model, shared, pool)
        waiting = []
        for value in range(1, 5):
            waiting.append(pool.submit(shared.generate, *rows(3, value)))
            time.sleep(0.02)  # in this order
        model.may_go_on.set()
        assert first.result().tolist() == [1]
        assert [job.result().tolist() for job in waiting] == [[2 * value + 1] * 3 for value in range(1, 5)]
    assert model.calls == [1, 6, 6]  # 9 would not fit into a batch of 8
    assert shared.generate(*rows(20, 1)).tolist() == [3] * 20
    assert len(shared.generate(*rows(0, 1))) == 0


def test_models_and_methods_are_not_mixed(batcher: Batcher) -> None:
    one, other = Model(), Model()
    with ThreadPoolExecutor(8) as pool:
        first = hold(one, BatchedModel(one, batcher), pool)
        waiting = []
        for model, method in ((one, "generate"), (other, "generate"), (other, "logits"), (other, "logits")):
            waiting.append(pool.submit(getattr(BatchedModel(model, batcher), method), *rows(2, 1)))
            time.sleep(0.02)
        one.may_go_on.set()
        first.result()
        assert [job.result().tolist() for job in waiting] == [[3, 3], [3, 3], [-2, -2], [-2, -2]]
    assert (one.calls, other.calls) == ([1, 2], [2, -4])


def test_an_error_reaches_only_the_requests_of_its_batch(batcher: Batcher) -> None:
    model = Model()
    shared = BatchedModel(model, batcher)
    with pytest.raises(FaceForgeError, match="negative"):
        shared.generate(*rows(1, -1))
    assert shared.generate(*rows(1, 1)).tolist() == [3]


def test_no_request_waits_beyond_the_time_limit(batcher: Batcher) -> None:
    model = Model()
    shared = BatchedModel(model, batcher)
    with ThreadPoolExecutor(1) as pool:
        first = hold(model, shared, pool)
        with time_limit(0.1), pytest.raises(TooSlowError):
            shared.generate(*rows(5, 1))
        model.may_go_on.set()
        first.result()
    assert shared.generate(*rows(2, 1)).tolist() == [3, 3]
    assert model.calls == [1, 2]  # what nobody waits for any more is not computed
