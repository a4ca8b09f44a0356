"""Ends the MLflow runs of a pipeline whose steps were killed before they could do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceforge.tracking.connection import limited_retries, readable
from faceforge.tracking.find_runs import all_experiments, find_parent
from faceforge.tracking.runs import finish_parent
from faceforge.tracking.tags import (
    FAILURE_TAG,
    MLFLOW_PARENT_TAG,
    PIPELINE_JOB_TAG,
    ROLE_TAG,
    RUN_KEY_TAG,
    STEP_TAG,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

_KILLED = "ended without an error message: killed, evicted, or out of memory"
_NEVER_RAN = "a step could not be started: see the events of its pod (image, volume, quota)"


def find_pipeline_run(run_key: str) -> Run | None:
    """The parent run of `run_key`, in whatever experiment."""
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        return find_parent(client, run_key, all_experiments(client))


def run_status(run_key: str) -> str:
    """Status of the parent run of `run_key`: `RUNNING`, `FINISHED`, `FAILED` or `KILLED`; empty: there is no run."""
    parent = find_pipeline_run(run_key)
    return str(parent.info.status) if parent is not None else ""


def running_jobs() -> dict[str, str]:
    """Pipeline runs on Kubeflow that MLflow takes for RUNNING: run key -> id on the Kubeflow Pipelines server."""
    import mlflow

    with readable("MLflow"), limited_retries():
        client = mlflow.MlflowClient()
        text = f"attributes.status = 'RUNNING' and tags.`{ROLE_TAG}` = 'pipeline'"
        runs = client.search_runs(all_experiments(client), text, max_results=1000)
        tags = [run.data.tags for run in runs]
        return {one[RUN_KEY_TAG]: one[PIPELINE_JOB_TAG] for one in tags if one.get(PIPELINE_JOB_TAG)}


def close_run(run_key: str) -> str:
    """Ends all runs of a pipeline run that still have the status RUNNING as FAILED; returns the parent's status.

    Steps end their own runs, and the last step the parent. A run that is still open when all steps are over belongs to
    a step that was stopped from outside.
    """
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        parent = find_parent(client, run_key, all_experiments(client))
        if parent is None:
            return ""
        text = f"tags.`{MLFLOW_PARENT_TAG}` = '{parent.info.run_id}' and attributes.status = 'RUNNING'"
        killed = client.search_runs([parent.info.experiment_id], text)
        for run in killed:
            client.set_tag(run.info.run_id, FAILURE_TAG, _KILLED)
            client.set_terminated(run.info.run_id, "FAILED")
    if parent.info.status == "RUNNING":
        steps = ", ".join(sorted(run.data.tags.get(STEP_TAG, "a step") for run in killed))
        finish_parent(run_key, "FAILED", reason=f"{steps}: {_KILLED}" if steps else _NEVER_RAN)
    return run_status(run_key)
