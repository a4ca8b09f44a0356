"""The concurrency limit: how many requests a server accepts at a time."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from faceforge.serving.batching import time_limit
from faceforge.serving.limits import Limits

_Result = TypeVar("_Result")
_WEIGHT = 0.2  # of the latest request in the moving average of durations


class BusyError(Exception):
    """The server already has as many requests as it accepts."""


class ConcurrencyLimit:
    """Runs up to `limits.queue` requests in threads and refuses more; there is no second queue behind it.

    Attributes:
        in_progress: requests whose result is not yet known to the event loop.
        running: requests whose thread is at work; valid also after the event loop has ended.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._seconds, self.in_progress = limits, 1.0, 0
        self._lock, self.running = threading.Lock(), 0
        self._pool = ThreadPoolExecutor(limits.queue, thread_name_prefix="request")

    @property
    def full(self) -> bool:
        """Whether the next request would be refused with `BusyError`."""
        return self.in_progress >= self._limits.queue

    @property
    def retry_after(self) -> int:
        """Seconds after which a client should retry: the moving average of request durations, rounded up."""
        return max(1, min(math.ceil(self._seconds), math.ceil(self._limits.timeout)))

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Returns `work()`, run in a thread under the time limit; to be awaited on the event loop.

        Raises:
            BusyError: too many requests are in progress.
            TooSlowError: the time limit was exceeded.
        """
        if self.full:
            raise BusyError
        self.in_progress += 1
        began = time.monotonic()

        def limited() -> _Result:
            self._count(1)
            try:
                with time_limit(self._limits.timeout):
                    return work()
            finally:
                self._count(-1)

        def release(_: object) -> None:
            self.in_progress -= 1
            self._seconds += _WEIGHT * (time.monotonic() - began - self._seconds)

        running = asyncio.get_running_loop().run_in_executor(self._pool, limited)
        running.add_done_callback(release)
        return await running

    def _count(self, change: int) -> None:
        with self._lock:
            self.running += change

    def close(self) -> None:
        """Accepts no more requests; running ones finish on their own."""
        self._pool.shutdown(wait=False, cancel_futures=True)
