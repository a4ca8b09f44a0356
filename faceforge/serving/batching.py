"""Dynamic batching: concurrent requests share calls of the network.

One thread calls the network. Requests that arrive during a call are queued; the next call takes as many of them as fit
into one batch. A single request therefore never waits for others to arrive. `BatchedModel` has the interface of the
model it wraps, so `Generator` works with it unchanged.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.inference.generator import Model

_local = threading.local()


class TooSlowError(Exception):
    """The time limit of a request was exceeded."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limits the total time that calls of `Batcher.submit` by this thread may take in the body."""
    _local.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        del _local.deadline


def time_left() -> float | None:
    """Seconds left of the `time_limit` of this thread, at least 0; None without one."""
    deadline = getattr(_local, "deadline", None)
    return None if deadline is None else max(deadline - time.monotonic(), 0)


@dataclass
class _Job:
    model: Model
    method: str  # generate | logits
    rows: NDArray[Any]
    labels: NDArray[Any]
    done: Future[NDArray[Any]] = field(default_factory=Future)

    def joins(self, other: _Job) -> bool:
        return self.model is other.model and self.method == other.method


class Batcher:
    """The thread that calls the network.

    Args:
        batch: images per call at most.
        on_batch: called with the number of images of every call.
    """

    def __init__(self, batch: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self._batch, self._on_batch = batch, on_batch
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def submit(self, model: Model, method: str, rows: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        """Returns `model.method(rows, labels)`, computed by the network thread.

        Raises:
            TooSlowError: the `time_limit` of this thread was exceeded.
        """
        job = _Job(model, method, rows, labels)
        self._jobs.put(job)
        try:
            return job.done.result(time_left())
        except TimeoutError:
            job.done.cancel()  # has no effect once the call has started
            raise TooSlowError from None

    def close(self) -> None:
        """Ends the thread after all submitted jobs."""
        self._jobs.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        first = self._jobs.get()
        while first is not None:
            group, first = self._gather(first)
            live = [job for job in group if job.done.set_running_or_notify_cancel()]
            if live:
                self._call(live)
            del group, live  # do not keep their arrays alive while waiting
            first = first or self._jobs.get()

    def _gather(self, first: _Job) -> tuple[list[_Job], _Job | None]:
        """Jobs for one call of the network, and a job that was dequeued but belongs to the next call."""
        group, rows = [first], len(first.rows)
        while rows < self._batch:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # the end mark stays last, behind this group
                break
            if not job.joins(first) or rows + len(job.rows) > self._batch:
                return group, job
            group.append(job)
            rows += len(job.rows)
        return group, None

    def _call(self, jobs: list[_Job]) -> None:
        try:
            rows = np.concatenate([job.rows for job in jobs])
            labels = np.concatenate([job.labels for job in jobs])
            results = getattr(jobs[0].model, jobs[0].method)(rows, labels, batch=max(self._batch, 1))
            self._on_batch(len(rows))
            at = 0
            for job in jobs:
                job.done.set_result(results[at : at + len(job.rows)].copy())
                at += len(job.rows)
        except Exception as error:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)


class BatchedModel:
    """A model whose network is called through a `Batcher`; implements `faceforge.inference.generator.Model`."""

    def __init__(self, model: Model, batcher: Batcher) -> None:
        self._model, self._batcher = model, batcher

    @property
    def info(self) -> Any:
        """The wrapped model's `info`."""
        return self._model.info

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """As in the wrapped model; `batch` is ignored, the batcher decides."""
        return self._batcher.submit(self._model, "generate", latents, labels)

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """As in the wrapped model; `batch` is ignored, the batcher decides."""
        return self._batcher.submit(self._model, "logits", images, labels)
