"""Following a run to its end: state and progress of its steps, pods that cannot start, the reason of a failure."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError, first_line
from pipelines.cluster.api import UnreachableError, api_errors
from pipelines.cluster.connection import connect
from pipelines.cluster.runs import FINISHED_STATES, lost_schedule, request_termination
from pipelines.cluster.server import Server
from pipelines.cluster.workflow import StepPod, error_line, read_log, step_pods
from pipelines.definition.definitions import CLOSE, DEFINITIONS

if TYPE_CHECKING:
    from kfp import Client

MAX_FAILED_POLLS = 30
"""Polls in a row that may fail: API servers restart, and proxies limit the rate of calls."""
PODS_SECONDS = 30.0
"""Time between looks at the pods, for progress and for those that cannot start."""
SLOW_START_SECONDS = 60.0
"""A pod that has not started after this time is reported with the reason."""
_FAN_OUT = ("prepare", "merge")  # the steps of ingest when several pods share it
STEPS = {step for definition in DEFINITIONS.values() for step in definition.steps} | set(_FAN_OUT)
_PROGRESS = re.compile(r"[\w -]+ [\d,]+/[\d,]+ \S+ · .*")  # a line of `faceforge.progress`


class RunNotSucceededError(FaceForgeError):
    """A submitted run has failed, or was cancelled or skipped."""


class RunFailedError(RunNotSucceededError):
    """A submitted run has failed; its failed steps can be retried."""


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
        cancel: Ctrl-C terminates the run and watching goes on until it has ended; a second Ctrl-C stops watching.
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
        self._pods = _PodReporter(client, run_id, show, start_deadline)

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
                retryable = self.state == "FAILED" and not self.terminated
                kind = RunFailedError if retryable else RunNotSucceededError
                raise kind(_failure(self._client, run, self.terminated))
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


@dataclass
class _PodReporter:
    """Reports progress of running pods and reasons of pods that do not start, from time to time."""

    client: Client
    run_id: str
    show: Callable[[str], None]
    start_deadline: float

    def __post_init__(self) -> None:
        self._next = time.monotonic()
        self._waiting_since: dict[str, float] = {}
        self._last_line: dict[str, str] = {}
        self._nothing_since = time.monotonic()
        self._no_logs = False
        self._lost = False

    def report(self, run: Any) -> None:
        """Looks at the pods if enough time has passed since the last look.

        Raises:
            RunNotSucceededError: the run was deleted in Kubernetes, or the start deadline has passed.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PODS_SECONDS
        try:
            self._check_schedule(run)
            pods = step_pods(self.client, self.run_id)
        except RunNotSucceededError:
            raise
        except FaceForgeError:
            return  # an extra: the state of the run is polled anyway
        for pod in pods:
            if pod.phase == "Running":
                self._show_progress(pod)
        if pods:
            self._nothing_since = now
        elif now - self._nothing_since >= SLOW_START_SECONDS:
            self._show_change("", "no pod has been created yet; is Kubeflow's workflow controller running?")
        self._check_starts([pod for pod in pods if not pod.started], now)

    def _check_schedule(self, run: Any) -> None:
        reason = lost_schedule(self.client, run)
        if reason and self._lost:  # at two looks: the server hears of a changed owner a moment later
            raise RunNotSucceededError(f"run {self.run_id} no longer exists: {reason}")
        self._lost = bool(reason)

    def _check_starts(self, waiting: list[StepPod], now: float) -> None:
        self._waiting_since = {pod.name: self._waiting_since.get(pod.name, now) for pod in waiting}
        for pod in waiting:
            seconds = now - self._waiting_since[pod.name]
            reason = pod.message or "no reason is known"
            if self.start_deadline and seconds >= self.start_deadline:
                request_termination(self.client, self.run_id)
                raise RunNotSucceededError(
                    f"run {self.run_id} is terminated: {pod.label} has not started for {seconds:,.0f} s: {reason}"
                )
            if seconds >= SLOW_START_SECONDS - PODS_SECONDS:
                self._show_change(pod.label, f"waiting to start: {reason}")

    def _show_progress(self, pod: StepPod) -> None:
        try:
            lines = read_log(self.client, self.run_id, pod, tail=50)
        except FaceForgeError as error:
            if not self._no_logs:  # said once
                self.show(f"  {pod.label:<10} progress cannot be shown: {error}")
            self._no_logs = True
            return
        progress = [line.strip() for line in lines if _PROGRESS.fullmatch(line.strip())]
        if progress:
            self._show_change(pod.label, progress[-1])

    def _show_change(self, label: str, line: str) -> None:
        if self._last_line.get(label) != line:
            self._last_line[label] = line
            self.show(f"  {label:<10} {line}")


def step_states(run: Any) -> dict[str, str]:
    """State of each step of a run, in the order of their start; drivers and inner nodes are left out."""
    details = (run.run_details.task_details if run.run_details else None) or []
    in_order = sorted(details, key=lambda task: str(task.start_time or task.create_time or ""))
    states = {str(task.display_name): str(task.state or "PENDING") for task in in_order if task.display_name in STEPS}
    # Argo's phase Omitted has no counterpart in the API (backend/src/apiserver/model/run.go).
    return {step: "SKIPPED" if state == "RUNTIME_STATE_UNSPECIFIED" else state for step, state in states.items()}


def _failure(client: Client, run: Any, terminated: bool) -> str:
    """One line: how the run ended, in which step, and that step's own error line."""
    ended = f"run {run.run_id} ended {run.state}"
    if terminated:  # the server then reports FAILED, not CANCELED
        return f"{ended} because it was terminated"
    failures = {step: "" for step, state in step_states(run).items() if state == "FAILED"}
    with contextlib.suppress(FaceForgeError):  # of a server that keeps no workflow: the names of the steps remain
        pods = _last_failures(step_pods(client, run.run_id))
        failures = {pod.step: _reason(client, run.run_id, pod) for pod in pods} or failures
    message = first_line(str(getattr(run.error, "message", "") or ""))
    steps = "; ".join(f"in {step}: {reason}" if reason else f"in {step}" for step, reason in failures.items())
    where = f" {steps}" if steps else ""
    more = f" (log: faceforge pipeline logs {run.run_id})" if run.state == "FAILED" else ""
    return f"{ended}{where}{f': {message}' if message else ''}{more}"


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
