"""Why a run has failed, in one line: how it ended, in which step, and that step's own error line."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError, first_line
from pipelines.cluster.workflow import StepPod, error_line, read_log, step_pods
from pipelines.definition.definitions import CLOSE, DEFINITIONS

if TYPE_CHECKING:
    from kfp import Client

_FAN_OUT = ("prepare", "merge", "train-worker")  # of ingest and train, when several pods share their work
STEPS = {step for definition in DEFINITIONS.values() for step in definition.steps} | set(_FAN_OUT)


class RunNotSucceededError(FaceForgeError):
    """A submitted run has failed, or was cancelled or skipped."""


class RunFailedError(RunNotSucceededError):
    """A submitted run has failed; its failed steps can be retried."""


def run_error(client: Client, run: Any, terminated: bool) -> RunNotSucceededError:
    """The error for a finished run that has not succeeded.

    Args:
        client: connected to the server.
        run: the run, as the API returns it.
        terminated: whether somebody has terminated it; the server then reports FAILED, not CANCELED.
    """
    ended = f"run {run.run_id} ended {run.state}"
    if terminated:
        return RunNotSucceededError(f"{ended} because it was terminated")
    failures = {step: "" for step, state in step_states(run).items() if state == "FAILED"}
    with contextlib.suppress(FaceForgeError):  # of a server that keeps no workflow: the names of the steps remain
        pods = _last_failures(step_pods(client, run.run_id))
        failures = {pod.step: _reason(client, run.run_id, pod) for pod in pods} or failures
    message = first_line(str(getattr(run.error, "message", "") or ""))
    steps = "; ".join(f"in {step}: {reason}" if reason else f"in {step}" for step, reason in failures.items())
    where = f" {steps}" if steps else ""
    line = f"{ended}{where}{f': {message}' if message else ''}"
    if run.state != "FAILED":
        return RunNotSucceededError(line)
    return RunFailedError(f"{line} (log: faceforge pipeline logs {run.run_id})")


def _last_failures(pods: list[StepPod]) -> list[StepPod]:
    """The failed last attempt of each step; `close` only if nothing else has failed."""
    last = {pod.step: pod for pod in pods}
    failed = [pod for pod in last.values() if pod.failed]
    return [pod for pod in failed if pod.step != CLOSE] or failed


def _reason(client: Client, run_id: str, pod: StepPod) -> str:
    if pod.out_of_memory:
        limit = f" (limit {pod.memory_limit})" if pod.memory_limit else ""
        return f"ran out of memory{limit}; compile with a larger --memory, or lower train.batch_size"
    try:
        return error_line(read_log(client, run_id, pod)) or pod.message or "no reason was given"
    except FaceForgeError:
        return pod.message or "no reason was given"


def step_states(run: Any) -> dict[str, str]:
    """State of each step of a run, in the order of their start; drivers and inner nodes are left out.

    Steps that a retry is to run again are PENDING: the server keeps their old state until they have started.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    in_order = sorted(details, key=lambda task: str(task.start_time or task.create_time or ""))
    retried_at = _retried_at(run)
    states = {}
    for task in in_order:
        if task.display_name in STEPS:
            state = str(task.state or "PENDING")
            # Argo's phase Omitted has no counterpart in the API (backend/src/apiserver/model/run.go).
            state = "SKIPPED" if state == "RUNTIME_STATE_UNSPECIFIED" else state
            old = retried_at and task.end_time and task.end_time <= retried_at
            states[str(task.display_name)] = "PENDING" if old and state in ("FAILED", "SKIPPED") else state
    return states


def _retried_at(run: Any) -> datetime | None:
    """Time of the last retry of a run: it was running again after it had ended."""
    retried_at, ended = None, False
    for change in run.state_history or ():
        if change.state in ("FAILED", "CANCELED"):
            ended = True
        elif ended and change.state in ("PENDING", "RUNNING"):
            retried_at, ended = change.update_time, False
    return retried_at
