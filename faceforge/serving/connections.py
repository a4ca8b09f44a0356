"""Connections of a server: their number stays below the limit of open files, and half-sent requests are closed.

uvicorn limits neither, so that clients which connect and send nothing would take all descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_RESERVED_FILES = 64  # of the process itself: logs, the model, the registry's database
_MAX_CONNECTIONS = 4096
_REPEAT_SECONDS = 10.0


def connection_limit() -> int:
    """How many connections fit into the limit of open files, which is raised as far as the process may.

    Half of the files are left to uploads, which are kept on disk while they arrive.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 4 * _MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * _MAX_CONNECTIONS)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(min((max(soft, files) - _RESERVED_FILES) // 2, _MAX_CONNECTIONS), 8)


def limited_protocol(limit: int, seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol with a limit on connections and on the time for a request's headers.

    At the limit, a new connection takes the place of the oldest one without a complete request; if all have one, the
    new connection is closed.

    Args:
        limit: open connections.
        seconds: a connection on which no request has begun for this long is closed after at most twice the time.
    """
    idle: dict[Any, None] = {}  # connections that wait for a request, the oldest first

    class LimitedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        _timer: asyncio.TimerHandle | None = None
        _checked: object = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limit and not _close_oldest(idle):
                transport.abort()
                return
            idle[self] = None
            self._timer = self.loop.call_later(seconds, self._check)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_idle():
                idle.setdefault(self)
            else:
                idle.pop(self, None)

        def connection_lost(self, error: Exception | None) -> None:
            idle.pop(self, None)
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(error)

        def _is_idle(self) -> bool:
            """Whether there is no request that is being answered."""
            return self.cycle is None or bool(self.cycle.response_complete)

        def _check(self) -> None:
            """Closes the connection if it has been idle since the last check, or since it was opened."""
            if self._is_idle() and self._checked is self.cycle:
                self.transport.abort()
                return
            self._checked = self.cycle if self._is_idle() else self
            self._timer = self.loop.call_later(seconds, self._check)

    return LimitedProtocol


def _close_oldest(idle: dict[Any, None]) -> bool:
    """Closes the oldest connection that waits for a request; False if there is none."""
    oldest = next(iter(idle), None)
    if oldest is None:
        return False
    del idle[oldest]
    oldest.transport.abort()
    return True


class RepeatFilter(logging.Filter):
    """Lets a warning through once in ten seconds and counts those left out, so that clients cannot fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.levelno < logging.WARNING:
            return True
        key, now = str(record.msg)[:80], time.monotonic()
        last, left_out = self._passed.get(key, (-_REPEAT_SECONDS, 0))
        if now - last < _REPEAT_SECONDS:
            self._passed[key] = (last, left_out + 1)
            return False
        self._passed[key] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out:,} more like it)", ()
        return True
