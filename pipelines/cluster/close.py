"""Ends MLflow runs that stayed RUNNING although their pipeline runs have ended.

The task `close` does this at the end of a run, but not again after a retry, and not if its own pod was killed. Whether
a run has ended is the server's to say: a run that it takes for unfinished, or does not know, is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import kfp_server_api

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import with_retries
from pipelines.cluster.connection import connect
from pipelines.cluster.lost import LostRuns
from pipelines.cluster.runs import FINISHED_STATES
from pipelines.cluster.server import Server

if TYPE_CHECKING:
    from kfp import Client


def close_one(run_id: str, server: Server, tracking_uri: str = "") -> str:
    """Ends what is still RUNNING in MLflow of a finished pipeline run; returns the outcome in one line.

    Raises:
        FaceForgeError: the run does not exist or has not finished, or the server or MLflow does not answer.
    """
    from faceforge.tracking.closing import close_run
    from faceforge.tracking.connection import connect as connect_mlflow

    client = connect(server)
    run = with_retries(f"run {run_id}", lambda: client.get_run(run_id))
    if run.state not in FINISHED_STATES and not LostRuns(client).reason(run):
        raise FaceForgeError(f"run {run_id} is still {str(run.state).lower()}: terminate it, or wait for its end")
    parameters = (run.runtime_config.parameters if run.runtime_config else None) or {}
    key = str(parameters.get("run_key") or run_id)  # a run without a key uses its id
    connect_mlflow(tracking_uri)
    status = close_run(key)
    return f"MLflow run {key}: {status.lower()}" if status else f"MLflow has no run {key}"


def close_stale(client: Client, tracking_uri: str = "") -> list[str]:
    """Ends all MLflow runs that are RUNNING and whose pipeline runs have ended; returns their run keys.

    Raises:
        FaceForgeError: the server or MLflow does not answer.
    """
    from faceforge.tracking.closing import close_run, running_jobs
    from faceforge.tracking.connection import connect as connect_mlflow

    connect_mlflow(tracking_uri)
    lost = LostRuns(client)
    ended = [key for key, job in running_jobs().items() if _has_ended(client, job, lost)]
    return [key for key in ended if close_run(key) != "RUNNING"]  # Kubeflow's MLflow plugin ends its own runs


def _has_ended(client: Client, job: str, lost: LostRuns) -> bool:
    """Whether a run has ended or was deleted; not for a run that the server does not know: several may share MLflow."""
    try:
        run = with_retries(f"run {job}", lambda: client.get_run(job))
    except FaceForgeError as error:
        if isinstance(error.__cause__, kfp_server_api.ApiException) and error.__cause__.status == 404:
            return False
        raise
    return run.state in FINISHED_STATES or bool(lost.reason(run))
