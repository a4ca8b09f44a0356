"""Logs a long computation to MLflow from a thread, so that the computation never waits for MLflow.

Items are sent in order. What MLflow does not accept yet waits in memory, up to a limit, and is sent again later; the
computation continues meanwhile, and its results are also on disk.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

from faceforge.errors import FaceForgeError, first_line
from faceforge.tracking.connection import limited_retries
from faceforge.tracking.step_run import Point, StepRun

MEMORY_LIMIT = 64 * 2**20
PATIENCE, PATIENCE_AFTER_FAILURE = 60.0, 5.0

_BATCH = 100  # curve points sent together after an outage
_LONGEST_PAUSE = 15.0  # seconds between attempts
_POINT_SIZE = 200  # bytes of one value and its name in memory


class _Item(NamedTuple):
    what: str
    size: int
    send: Callable[[], object] | None  # None: a curve point
    point: Point | None = None


class AsyncLogger:
    """Context manager that logs to one step's run from a thread; nothing else may write to that run meanwhile.

    On exit it waits for items that are not sent yet, then warns about those that were not and where to find them. It
    never raises.

    Args:
        run: the step's run.
        kept: where the user finds what was not sent.
        patience: seconds to wait on exit; 5 after a failure of the body, since a terminated pod has little time.
        memory_limit: bytes that may wait; further items are dropped.
    """

    def __init__(self, run: StepRun, kept: str, patience: float = PATIENCE, memory_limit: int = MEMORY_LIMIT) -> None:
        self._run, self._kept, self._patience, self._memory_limit = run, kept, patience, memory_limit
        self._waiting: deque[_Item] = deque()
        self._size = 0
        self._lost: Counter[str] = Counter()
        self._reason, self._failures = "", 0
        self._changed = threading.Condition()
        self._closing, self._given_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow-logger", daemon=True)
        self._settings = ExitStack()

    def __enter__(self) -> AsyncLogger:
        self._settings.enter_context(limited_retries(retries=1, seconds=30))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(self._patience if kind is None else PATIENCE_AFTER_FAILURE)
        finally:
            self._settings.close()

    @property
    def troubled(self) -> bool:
        """Whether MLflow did not answer the last time."""
        return self._failures > 0

    def point(self, metrics: Mapping[str, float], step: int) -> None:
        """Logs one point of every curve."""
        point = Point(dict(metrics), step, int(time.time() * 1000))
        self._add(_Item("curve point", _POINT_SIZE * len(point.metrics), None, point))

    def call(self, what: str, send: Callable[[], object], size: int = 0) -> None:
        """Logs anything else.

        Args:
            what: name of the item in the singular, for warnings.
            send: writes to MLflow; called again after a failure, so it must be repeatable.
            size: bytes that the item occupies while it waits.
        """
        self._add(_Item(what, size, send))

    def _add(self, item: _Item) -> None:
        with self._changed:
            if self._size + item.size > self._memory_limit:
                self._lose(item, "too many items were waiting")
                return
            self._waiting.append(item)
            self._size += item.size
            self._changed.notify()

    def _work(self) -> None:
        # An item leaves the queue only after MLflow has accepted it: an outage, however long, changes no order.
        while items := self._next():
            try:
                self._send(items)
            except Exception as error:
                reason = first_line(error, 200)
                if _is_hopeless(error):
                    self._done(items, reason)
                    continue
                self._failures += 1
                if self._failures == 1:
                    _say(f"warning: {reason}; logging continues when it answers")
                self._reason = reason
                pause = min(2.0 ** (self._failures - 1), 1.0 if self._closing.is_set() else _LONGEST_PAUSE)
                (self._given_up if self._closing.is_set() else self._closing).wait(pause)
                continue
            self._done(items)
            if self._failures:
                _say("MLflow answers again")
                _revive_system_metrics(self._run.run_id)
            self._failures = 0

    def _next(self) -> list[_Item]:
        """The curve points at the head of the queue, or one item of another kind; empty at the end."""
        with self._changed:
            while not self._waiting and not self._closing.is_set():
                self._changed.wait()
            if self._given_up.is_set():
                return []
            items: list[_Item] = []
            for item in self._waiting:
                if items and (item.point is None or items[0].point is None or len(items) == _BATCH):
                    break
                items.append(item)
            return items

    def _send(self, items: list[_Item]) -> None:
        points = [item.point for item in items if item.point is not None]
        if points:
            self._run.log_points(points)
        for item in items:
            if item.send is not None:
                item.send()

    def _done(self, items: list[_Item], lost_because: str = "") -> None:
        with self._changed:
            for item in items:
                self._waiting.popleft()
                self._size -= item.size
                if lost_because:
                    self._lose(item, lost_because)

    def _lose(self, item: _Item, reason: str) -> None:
        if not self._lost:
            _say(f"warning: not everything is logged to MLflow: {reason}")
        self._lost[item.what] += 1
        self._reason = reason

    def _close(self, patience: float) -> None:
        with self._changed:
            waiting = len(self._waiting)
            self._closing.set()
            self._changed.notify()
        self._thread.join(min(2.0, patience))
        if self._thread.is_alive() and patience > 2.0:
            _say(f"waiting up to {patience:.0f} s for MLflow to accept the last {waiting} items")
            self._thread.join(patience - 2.0)
        with self._changed:
            self._given_up.set()
            left = self._lost + Counter(item.what for item in self._waiting)
        if left:
            items = ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in left.items())
            _say(f"warning: not logged to MLflow: {items} ({self._reason or 'no answer in time'}); see {self._kept}")


def _is_hopeless(error: Exception) -> bool:
    """Whether sending again cannot help: MLflow rejected the item, or its file is missing."""
    cause = error.__cause__ if isinstance(error, FaceForgeError) else error
    if isinstance(cause, OSError):
        return isinstance(cause, FileNotFoundError)
    return getattr(cause, "error_code", "INVALID_PARAMETER_VALUE") == "INVALID_PARAMETER_VALUE"


def _revive_system_metrics(run_id: str) -> None:
    """Restarts MLflow's sampling of processor, memory and GPU, which ends at its first failure."""
    from mlflow.tracking import fluent

    monitor = getattr(fluent, "run_id_to_system_metrics_monitor", {}).get(run_id)
    thread = getattr(monitor, "_process", None)
    if monitor is not None and thread is not None and not thread.is_alive():
        monitor.start()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
