"""Reports on the pods of a running run: progress of its steps, and pods that do not start."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.failure import RunNotSucceededError
from pipelines.cluster.lost import LostRuns
from pipelines.cluster.runs import request_termination
from pipelines.cluster.workflow import StepPod, pods_of_workflow, read_log, read_workflow

if TYPE_CHECKING:
    from kfp import Client

LOOK_SECONDS = 30.0
"""Time between looks at the pods."""
SLOW_START_SECONDS = 60.0
"""A pod that has not started after this time is reported with the reason."""
_NO_IMAGE = re.compile("ErrImage|ImagePullBackOff|InvalidImageName")  # reported at once: waiting rarely helps
_REASON_LENGTH = 200
_PROGRESS = re.compile(r"[\w -]+ [\d,]+/[\d,]+ \S+ · .*")  # a line of `faceforge.progress`


@dataclass
class PodReporter:
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
        self._lost_runs = LostRuns(self.client)
        self._lost = False

    def report(self, run: Any) -> None:
        """Looks at the pods if enough time has passed since the last look.

        Raises:
            RunNotSucceededError: the run was deleted in Kubernetes, or the start deadline has passed.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        try:
            workflow = read_workflow(self.client, self.run_id)
            self._check_lost(run, workflow)
            pods = pods_of_workflow(workflow)
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
            self._show_change("", "no step has a pod yet; if that lasts, look at workflow controller and driver pods")
        self._check_starts([pod for pod in pods if not pod.started], now)

    def _check_lost(self, run: Any, workflow: dict[str, Any]) -> None:
        reason = self._lost_runs.reason(run, workflow)
        if reason and self._lost:  # at two looks: the server hears of changes a moment later
            raise RunNotSucceededError(f"run {self.run_id} no longer exists: {reason}")
        self._lost = bool(reason)

    def _check_starts(self, waiting: list[StepPod], now: float) -> None:
        self._waiting_since = {pod.name: self._waiting_since.get(pod.name, now) for pod in waiting}
        for pod in waiting:
            seconds = now - self._waiting_since[pod.name]
            reason = _start_problem(pod.message) or "no reason is known"
            if self.start_deadline and seconds >= self.start_deadline:
                request_termination(self.client, self.run_id)
                raise RunNotSucceededError(
                    f"run {self.run_id} is terminated: {pod.label} has not started for {seconds:,.0f} s: {reason}"
                )
            if seconds >= SLOW_START_SECONDS - LOOK_SECONDS or _NO_IMAGE.match(reason):
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


def _start_problem(message: str) -> str:
    """Why a pod has not started; the same line while Kubernetes alternates between two messages about an image."""
    return re.sub(r'^ImagePullBackOff: Back-off pulling image "[^"]*": ', "", message)[:_REASON_LENGTH]
