"""Concurrent requests share calls of the network.

One thread calls the network. While it works, others' wishes gather; it then takes as many as fit into a batch. So a
lone request never waits for company, and many do not wait for each other. The model that requests see behaves like the
one it wraps: `Generator` draws, edits and rates through it as ever.
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
    """The request's time is over."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """What this thread asks of the network inside must be answered within `seconds` in all."""
    _local.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        del _local.deadline


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
        batch: images per call.
        on_batch: told the number of images of every call.
    """

    def __init__(self, batch: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self._batch, self._on_batch = batch, on_batch
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def ask(self, model: Model, method: str, rows: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        """What `model.method(rows, labels)` returns.

        Raises:
            TooSlowError: not within the `time_limit` of this thread.
        """
        deadline = getattr(_local, "deadline", None)
        job = _Job(model, method, rows, labels)
        self._jobs.put(job)
        try:
            return job.done.result(None if deadline is None else max(deadline - time.monotonic(), 0))
        except TimeoutError:
            job.done.cancel()  # if it has not begun
            raise TooSlowError from None

    def close(self) -> None:
        """Ends the thread after what it has been asked so far."""
        self._jobs.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        first = self._jobs.get()
        while first is not None:
            group, first = self._gather(first)
            wanted = [job for job in group if job.done.set_running_or_notify_cancel()]
            if wanted:
                self._call(wanted)
            del group, wanted  # not to be kept while waiting
            first = first or self._jobs.get()

    def _gather(self, first: _Job) -> tuple[list[_Job], _Job | None]:
        """Jobs that are called together, and one that was taken but does not belong to them."""
        group, rows = [first], len(first.rows)
        while rows < self._batch:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # last, after this group
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
            answers = getattr(jobs[0].model, jobs[0].method)(rows, labels, batch=max(self._batch, 1))
            self._on_batch(len(rows))
            at = 0
            for job in jobs:
                job.done.set_result(answers[at : at + len(job.rows)].copy())
                at += len(job.rows)
        except Exception as error:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)


class BatchedModel:
    """A model whose network is called by a `Batcher`; see `faceforge.inference.generator.Model`."""

    def __init__(self, model: Model, batcher: Batcher) -> None:
        self._model, self._batcher = model, batcher

    @property
    def info(self) -> Any:
        """The facts of the model."""
        return self._model.info

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """As the model's own; `batch` is the batcher's."""
        return self._batcher.ask(self._model, "generate", latents, labels)

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """As the model's own; `batch` is the batcher's."""
        return self._batcher.ask(self._model, "logits", images, labels)
