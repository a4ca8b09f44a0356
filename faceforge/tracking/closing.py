"""Ending the runs of a pipeline whose steps were killed, and could not say so themselves."""

from __future__ import annotations

from faceforge.tracking.connection import readable
from faceforge.tracking.runs import _all_experiments, _find_parent, finish_parent
from faceforge.tracking.tags import FAILURE_TAG, MLFLOW_PARENT_TAG, STEP_TAG

_KILLED = "ended without a word: killed, evicted, or out of memory"
_NEVER_RAN = "a step could not be started: see the events of its pod (image, volume, quota)"


def run_status(run_key: str) -> str:
    """Status of the parent run of `run_key` (`RUNNING`, `FINISHED`, `FAILED`, `KILLED`); empty: there is none."""
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        parent = _find_parent(client, run_key, _all_experiments(client))
        return str(parent.info.status) if parent is not None else ""


def close_run(run_key: str) -> str:
    """Ends what is still running of a pipeline run, as failed and with the reason; returns the parent's status.

    A step ends its own run, and the last one the parent: what is running when all is over was stopped from outside.
    """
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        parent = _find_parent(client, run_key, _all_experiments(client))
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
