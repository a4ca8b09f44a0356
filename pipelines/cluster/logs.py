"""Printing the logs of a run's steps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import LoginPageError, UnreachableError
from pipelines.cluster.connection import connect
from pipelines.cluster.server import Server
from pipelines.cluster.workflow import read_log, step_pods

_KUBEFLOW = re.compile(
    r"I\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\.go:\d+\]|\[KFP Executor [^]]* INFO\]:|time=\S+ level=INFO .*argo=true"
)
"""Informational lines of Kubeflow's launcher and executor and of Argo, which surround the output of a step."""


def read_logs(
    run_id: str, server: Server, *, step: str = "", tail: int = 0, everything: bool = False
) -> Iterator[tuple[str, str]]:
    """Yields (step, line) for each log line of a run's steps, pods in the order of their creation.

    A retried step is labelled `train#2`. A pod without a log gives one line with the reason.

    Args:
        run_id: from `submit`.
        server: where the run is.
        step: only this step; '' = all.
        tail: only the last `tail` lines of each pod; 0 = all.
        everything: also informational lines of Kubeflow, which are left out otherwise.

    Raises:
        FaceForgeError: the server does not answer, the run does not exist, or no pod matches.
    """
    client = connect(server)
    pods = [pod for pod in step_pods(client, run_id) if step in ("", pod.step, pod.label)]
    if not pods:
        what = f"step {step} of run {run_id}" if step else f"run {run_id}"
        raise FaceForgeError(f"no pods of {what} yet; its state: faceforge pipeline watch {run_id}")
    for pod in pods:
        if not pod.started:
            yield pod.label, f"(waiting to start: {pod.message or 'no reason is known'})"
            continue
        try:
            lines = read_log(client, run_id, pod)
        except (LoginPageError, UnreachableError):
            raise
        except FaceForgeError as error:
            lines = [f"({error})"]
        lines = lines if everything else list(step_output(lines))
        yield from ((pod.label, line) for line in lines[-tail:])  # all of them if tail is 0


def step_output(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a pod's log without Kubeflow's informational ones and the JSON objects that follow some of them."""
    hidden = in_json = False
    for line in lines:
        if in_json:
            in_json = line != "}"
        elif hidden and line == "{":
            in_json = True
        else:
            hidden = bool(_KUBEFLOW.match(line))
            in_json = hidden and line.endswith(": {")
            if not hidden:
                yield line
