"""Printing the logs of a run's steps."""

from __future__ import annotations

from collections.abc import Iterator

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import LoginPageError, UnreachableError
from pipelines.cluster.connection import connect
from pipelines.cluster.server import Server
from pipelines.cluster.workflow import read_log, step_pods


def read_logs(run_id: str, server: Server, *, step: str = "", tail: int = 0) -> Iterator[tuple[str, str]]:
    """Yields (step, line) for each log line of a run's steps, pods in the order of their creation.

    A retried step is labelled `train#2`. A pod without a log gives one line with the reason.

    Args:
        run_id: from `submit`.
        server: where the run is.
        step: only this step; '' = all.
        tail: only so many last lines of each pod; 0 = all.

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
            lines = read_log(client, run_id, pod, tail)
        except (LoginPageError, UnreachableError):
            raise
        except FaceForgeError as error:
            lines = [f"({error})"]
        for line in lines:
            yield pod.label, line
