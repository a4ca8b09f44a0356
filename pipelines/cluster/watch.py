"""Following a submitted run to its end, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import UnreachableError, api_errors
from pipelines.cluster.connection import connect
from pipelines.cluster.runs import request_termination
from pipelines.cluster.server import Server
from pipelines.definition.definitions import DEFINITIONS

if TYPE_CHECKING:
    from kfp import Client

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_MAX_FAILED_POLLS = 5  # in a row: API servers restart
_FAN_OUT = ("prepare", "merge")  # the steps of ingest when several pods share it
STEPS = {step for definition in DEFINITIONS.values() for step in definition.steps} | set(_FAN_OUT)


class RunNotSucceededError(FaceForgeError):
    """A submitted run has failed, or was cancelled or skipped."""


class DetachedError(FaceForgeError):
    """The user has stopped watching; the run continues."""

    exit_code = 130


def watch(
    run_id: str,
    server: Server,
    *,
    every: float = 10.0,
    timeout: float = 0.0,
    cancel: bool = False,
    show: Callable[[str], None] = print,
) -> None:
    """Follow a run to its end; returns when it has succeeded.

    Args:
        run_id: from `submit`.
        server: where it runs.
        every: seconds between polls.
        timeout: seconds after which to stop watching (the run continues); 0 = no limit.
        cancel: Ctrl-C terminates the run and watching goes on until it has ended; a second Ctrl-C stops watching.
        show: called with a line for each change of state, of the run or of a step.

    Raises:
        RunNotSucceededError: the run failed, or was cancelled or skipped.
        DetachedError: Ctrl-C; the run continues.
        FaceForgeError: the server no longer answers, or the time limit was reached.
    """
    client = connect(server)
    follower = _Follower(client, run_id, show)
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while True:
        try:
            if follower.poll():
                return
            if time.monotonic() > deadline:
                raise FaceForgeError(
                    f"run {run_id} is still {follower.state.lower()} after {timeout:,.0f} s; it goes on in the cluster"
                )
            time.sleep(every)
        except KeyboardInterrupt:
            if not cancel:
                raise DetachedError(
                    f"stopped watching; the run goes on (faceforge pipeline watch {run_id}, or terminate {run_id})"
                ) from None
            cancel = False
            show(f"{run_id} · cancelling")
            request_termination(client, run_id)


class _Follower:
    """Polls a run and reports what has changed since the previous poll."""

    def __init__(self, client: Client, run_id: str, show: Callable[[str], None]) -> None:
        self.state = ""
        self._client, self._run_id, self._show = client, run_id, show
        self._started = time.monotonic()
        self._failures = 0
        self._steps: dict[str, str] = {}

    def poll(self) -> bool:
        """Polls once; True when the run has succeeded."""
        try:
            with api_errors(f"run {self._run_id}"):
                run = self._client.get_run(self._run_id)
        except UnreachableError:
            self._failures += 1
            if self._failures >= _MAX_FAILED_POLLS:
                raise
            return False
        self._failures = 0
        for step, state in step_states(run).items():
            if state != self._steps.get(step, "PENDING"):
                self._show(f"  {step:<10} {state.lower()} · {self._seconds()}")
                self._steps[step] = state
        state = str(run.state or "PENDING")
        if state != self.state:
            self._show(f"{self._run_id} · {state.lower()} · {self._seconds()}")
            self.state = state
        if state in TERMINAL:
            _conclude(self._run_id, state, run)
            return True
        return False

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._started:,.0f} s"


def step_states(run: Any) -> dict[str, str]:
    """State of each step of a run, in the order of their start; drivers and inner nodes are left out."""
    details = (run.run_details.task_details if run.run_details else None) or []
    in_order = sorted(details, key=lambda task: str(task.start_time or task.create_time or ""))
    return {str(task.display_name): str(task.state or "PENDING") for task in in_order if task.display_name in STEPS}


def _conclude(run_id: str, state: str, run: Any) -> None:
    if state == "SUCCEEDED":
        return
    message = str(getattr(run.error, "message", "") or "").strip().splitlines()
    failed = [step for step, step_state in step_states(run).items() if step_state == "FAILED"]
    where = f" in {', '.join(failed)}" if failed else ""
    why = f": {message[0]}" if message else ""
    more = f"; see faceforge pipeline logs {run_id}" if state == "FAILED" else ""
    raise RunNotSucceededError(f"run {run_id} ended {state}{where}{why}{more}")
