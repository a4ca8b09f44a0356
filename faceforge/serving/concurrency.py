"""The bounded queue: how many requests a server has in hand at most."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from faceforge.serving.batching import time_limit
from faceforge.serving.limits import Limits

_Answer = TypeVar("_Answer")
_WEIGHT = 0.2  # of the latest request in the mean duration


class BusyError(Exception):
    """No room for another request."""


class Admission:
    """Runs requests in threads, so many at a time and no more; there is no second queue behind it."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._seconds, self.taken = limits, 1.0, 0
        self._pool = ThreadPoolExecutor(limits.queue, thread_name_prefix="request")

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        return self.taken >= self._limits.queue

    @property
    def retry_after(self) -> int:
        """Seconds in which what is in hand should be done, judged by the latest requests."""
        return max(1, min(math.ceil(self._seconds), math.ceil(self._limits.timeout)))

    async def run(self, work: Callable[[], _Answer]) -> _Answer:
        """`work()` in a thread, under the time limit; call it from the event loop.

        Raises:
            BusyError: too many are in hand.
            TooSlowError: the network had no time for it.
        """
        if self.full:
            raise BusyError
        self.taken += 1
        began = time.monotonic()

        def limited() -> _Answer:
            with time_limit(self._limits.timeout):
                return work()

        def leave(_: object) -> None:
            self.taken -= 1
            self._seconds += _WEIGHT * (time.monotonic() - began - self._seconds)

        running = asyncio.get_running_loop().run_in_executor(self._pool, limited)
        running.add_done_callback(leave)
        return await running

    def close(self) -> None:
        """Takes nothing more; what runs is left to end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
