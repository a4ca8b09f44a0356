"""Following a run to its end: state and progress of its steps, pods that cannot start, the reason of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import UnreachableError, api_errors
from pipelines.cluster.connection import connect
from pipelines.cluster.failure import run_error, step_states
from pipelines.cluster.pods import PodReporter
from pipelines.cluster.runs import FINISHED_STATES, request_termination
from pipelines.cluster.server import Server

if TYPE_CHECKING:
    from kfp import Client

MAX_FAILED_POLLS = 30
"""Polls in a row that may fail: API servers restart, and proxies limit the rate of calls."""


class DetachedError(FaceForgeError):
    """The user has stopped watching; the run continues."""

    exit_code = 130


class WatchLostError(FaceForgeError):
    """Watching has ended although the run has not: the server does not answer, denies access, or time is up."""

    exit_code = 3


def watch(
    run_id: str,
    server: Server,
    *,
    every: float = 10.0,
    timeout: float = 0.0,
    start_deadline: float = 0.0,
    cancel: bool = False,
    show: Callable[[str], None] = print,
) -> None:
    """Follow a run to its end; returns when it has succeeded.

    Args:
        run_id: from `submit`.
        server: where it runs.
        every: seconds between polls.
        timeout: seconds after which to stop watching (the run continues); 0 = no limit.
        start_deadline: seconds after which a run is terminated if a pod of it has not started; 0 = no limit.
        cancel: Ctrl-C terminates the run, and watching continues until it has ended; a second Ctrl-C stops watching.
        show: called with a line for each change of state, of the run or of a step, and with lines of progress.

    Raises:
        RunNotSucceededError: the run failed, or was cancelled or skipped.
        DetachedError: Ctrl-C; the run continues.
        WatchLostError: the server no longer answers or denies access, or the time limit was reached.
        FaceForgeError: there is no such run.
    """
    client = connect(server)
    follower = _Follower(client, run_id, show, start_deadline)
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while True:
        try:
            if follower.poll():
                return
            if time.monotonic() > deadline:
                raise _lost(run_id, f"run {run_id} is still {follower.state.lower()} after {timeout:,.0f} s")
            time.sleep(every)
        except KeyboardInterrupt:
            if not cancel:
                raise DetachedError(
                    f"stopped watching; the run goes on (faceforge pipeline watch {run_id}, or terminate {run_id})"
                ) from None
            cancel = False
            show(f"{run_id} · cancelling")
            request_termination(client, run_id)
            follower.terminated = True


def _lost(run_id: str, problem: str) -> WatchLostError:
    return WatchLostError(f"{problem}; the run goes on, follow it with: faceforge pipeline watch {run_id}")


class _Follower:
    """Polls a run and reports what has changed since the previous poll."""

    def __init__(self, client: Client, run_id: str, show: Callable[[str], None], start_deadline: float) -> None:
        self.state = ""
        self._client, self._run_id, self._show = client, run_id, show
        self._started = time.monotonic()
        self._failures = 0
        self.terminated = False
        self._steps: dict[str, str] = {}
        self._pods = PodReporter(client, run_id, show, start_deadline)

    def poll(self) -> bool:
        """Polls once; True when the run has succeeded."""
        try:
            with api_errors(f"run {self._run_id}"):
                run = self._client.get_run(self._run_id)
            if not run.run_id:
                raise FaceForgeError(f"run {self._run_id}: the server's response is not a run")
        except UnreachableError as error:
            self._failures += 1
            if self._failures >= MAX_FAILED_POLLS:
                raise _lost(self._run_id, str(error)) from None
            return False
        except FaceForgeError as error:
            if not self.state:  # the first poll: there may be no such run
                raise
            raise _lost(self._run_id, str(error)) from None
        self._failures = 0
        self._report_states(run)
        if self.state in FINISHED_STATES:
            if self.state != "SUCCEEDED":
                raise run_error(self._client, run, self.terminated)
            return True
        self._pods.report(run)
        return False

    def _report_states(self, run: Any) -> None:
        for step, state in step_states(run).items():
            if state != self._steps.get(step, "PENDING"):
                self._show(f"  {step:<10} {state.lower()} · {self._seconds()}")
                self._steps[step] = state
        state = str(run.state or "PENDING")
        self.terminated |= state == "CANCELING"
        if state != self.state:
            self._show(f"{self._run_id} · {state.lower()} · {self._seconds()}")
            self.state = state

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._started:,.0f} s"
