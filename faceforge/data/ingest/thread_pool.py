"""Threads with a deadline for a few items: cheaper to start than processes, which take over when a thread hangs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from multiprocessing import TimeoutError as ThreadTimeoutError
from multiprocessing.pool import AsyncResult, ThreadPool
from typing import TypeVar

from faceforge.data.ingest.worker_pool import TIMEOUT_SECONDS, WorkerPool
from faceforge.data.pixels import workers

_AHEAD = 2  # batches per thread
_GRACE_SECONDS = 10.0  # for threads to finish their batches
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_in_threads(
    function: Callable[[list[_In]], _Out],
    on_crash: Callable[[_In], _Out],
    batches: Iterable[list[_In]],
    timeout: float = TIMEOUT_SECONDS,
) -> Iterator[_Out]:
    """Applies a function to batches of items in threads; the results, one for each batch, come in order.

    A thread cannot be stopped. When a batch does not end within `timeout` seconds, it and all batches after it are
    processed by a `WorkerPool`, which can be; the thread is left behind and does not keep the program from ending.

    Args:
        function, on_crash: see `WorkerPool`.
        batches: taken a little ahead.
        timeout: seconds for one batch.
    """
    remaining = iter(batches)
    pending: deque[tuple[list[_In], AsyncResult[_Out]]] = deque()
    pool = ThreadPool(workers())  # of daemon threads
    try:
        for batch in remaining:
            pending.append((batch, pool.apply_async(function, (batch,))))
            if len(pending) > workers() * _AHEAD:
                yield pending[0][1].get(timeout)
                pending.popleft()
        while pending:
            yield pending[0][1].get(timeout)
            pending.popleft()
        return
    except ThreadTimeoutError:
        pass  # continue below, outside the handler, so that later errors are not chained to this one
    finally:
        _close(pool)
    unfinished = [batch for batch, _ in pending]
    with WorkerPool(function, on_crash, workers()) as processes:
        yield from processes.map(chain(unfinished, remaining))


def _close(pool: ThreadPool) -> None:
    """Waits until the threads have finished their batches, but not for one that hangs.

    A thread that returns from a decoder while the interpreter ends would abort the program.
    """
    pool.terminate()
    waiting = threading.Thread(target=pool.join, daemon=True)
    waiting.start()
    waiting.join(_GRACE_SECONDS)
