"""Following a submitted run to its end, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.server import Server, UnreachableError, connect, patiently, readable
from pipelines.definition.definitions import DEFINITIONS

if TYPE_CHECKING:
    from kfp import Client

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_PATIENCE = 5  # polls in a row that may fail before we give up: API servers restart
_FAN_OUT = ("prepare", "merge")  # the steps of ingest when several pods share it
STEPS = {step for one in DEFINITIONS.values() for step in one.steps} | set(_FAN_OUT)


class RunNotSucceededError(FaceForgeError):
    """A submitted run has ended otherwise than well."""


class DetachedError(FaceForgeError):
    """The user has stopped watching."""

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
        every: seconds between looks.
        timeout: seconds after which to stop watching (the run goes on); 0 = none.
        cancel: Ctrl-C ends the run, and it is watched until it has; a second one stops watching.
        show: takes a line per change of state, of the run and of its steps.

    Raises:
        RunNotSucceededError: it failed, was cancelled or skipped.
        DetachedError: Ctrl-C; the run goes on.
        FaceForgeError: the server does not answer any more, or time is up.
    """
    client = connect(server)
    follower = _Follower(client, run_id, show)
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while True:
        try:
            if follower.look():
                return
            if time.monotonic() > deadline:
                raise FaceForgeError(
                    f"run {run_id} is still {follower.state.lower()} after {timeout:,.0f} s; it goes on in the cluster"
                )
            time.sleep(every)
        except KeyboardInterrupt:
            if not cancel:
                raise DetachedError(
                    f"no longer watching; the run goes on (faceforge pipeline watch {run_id}, or terminate {run_id})"
                ) from None
            cancel = False
            show(f"{run_id} · cancelling")
            terminate(client, run_id)


def terminate(client: Client, run_id: str) -> None:
    """Ask the server to end a run."""
    patiently(f"run {run_id}", lambda: client.terminate_run(run_id))


class _Follower:
    """Tells what has changed since the last look."""

    def __init__(self, client: Client, run_id: str, show: Callable[[str], None]) -> None:
        self.state = ""
        self._client, self._run_id, self._show = client, run_id, show
        self._started = time.monotonic()
        self._failures = 0
        self._steps: dict[str, str] = {}

    def look(self) -> bool:
        """One look; True when the run has succeeded."""
        try:
            with readable(f"run {self._run_id}"):
                run = self._client.get_run(self._run_id)
        except UnreachableError:
            self._failures += 1
            if self._failures >= _PATIENCE:
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
    """State of each step of a run, in the order in which they began; drivers and inner nodes are left out."""
    details = (run.run_details.task_details if run.run_details else None) or []
    begun = sorted(details, key=lambda task: str(task.start_time or task.create_time or ""))
    return {str(task.display_name): str(task.state or "PENDING") for task in begun if task.display_name in STEPS}


def _conclude(run_id: str, state: str, run: Any) -> None:
    if state == "SUCCEEDED":
        return
    message = str(getattr(run.error, "message", "") or "").strip().splitlines()
    failed = [step for step, its in step_states(run).items() if its == "FAILED"]
    where = f" in {', '.join(failed)}" if failed else ""
    why = f": {message[0]}" if message else ""
    more = f"; see faceforge pipeline logs {run_id}" if state == "FAILED" else ""
    raise RunNotSucceededError(f"run {run_id} ended {state}{where}{why}{more}")
