"""Opens and ends MLflow runs: one parent per pipeline run, one nested run per step, both reopened on a retry.

>>> connect("sqlite:///mlflow.db")
>>> with step_run("train", run_key="toy-1", experiment="faceforge") as run:
...     run.log_metrics({"data/rejects": 3.0})
...     run.headline(metrics={"domain/frechet": 1.5})
>>> finish_parent("toy-1", "FINISHED")

A run that Kubeflow's MLflow plugin injects (MLFLOW_RUN_ID) is used: as the step's run if it has a parent, else as the
parent.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from faceforge.errors import FaceForgeError, first_line
from faceforge.tracking.connection import connect, limited_retries, readable
from faceforge.tracking.find_runs import all_experiments, create_run, experiment_id, find_parent, find_run
from faceforge.tracking.revision import code_revision, container_image
from faceforge.tracking.run_writer import DatasetRef
from faceforge.tracking.step_run import StepRun
from faceforge.tracking.tags import (
    FAILURE_TAG,
    IMAGE_TAG,
    KUBEFLOW_RUN_TAG,
    MLFLOW_PARENT_TAG,
    REVISION_TAG,
    ROLE_TAG,
    RUN_KEY_TAG,
    STEP_TAG,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["DatasetRef", "Status", "StepRun", "connect", "finish_parent", "step_run"]

Status = Literal["FINISHED", "FAILED", "KILLED"]


@contextmanager
def step_run(
    step: str, *, run_key: str, experiment: str, run_name: str = "", system_metrics: bool = False
) -> Iterator[StepRun]:
    """Opens the step's run, active in MLflow, under the one parent of `run_key`.

    Both are created if missing, else reopened. The step's run ends FINISHED, or FAILED / KILLED with the
    reason in the tag `faceforge.failure`, and then the parent likewise; after a successful step the parent stays
    RUNNING until `finish_parent`.

    Args:
        step: name of the step and of its run.
        run_key: identifies the pipeline run; the same on a retry.
        experiment: name; ignored if a run is injected.
        run_name: name of the parent, if it is created; empty: the run key.
        system_metrics: sample CPU, memory and GPU use every few seconds.

    Raises:
        FaceForgeError: MLflow cannot be used; errors of the body pass through.
    """
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        run, parent_id = _open(client, step, _checked(run_key), experiment, run_name or run_key)
        for run_id in (parent_id, run.info.run_id):
            if FAILURE_TAG in client.get_run(run_id).data.tags:
                client.delete_tag(run_id, FAILURE_TAG)
        client.update_run(parent_id, status="RUNNING")
        tracked = StepRun(client, run.info.run_id, parent_id, run.info.experiment_id, run_key)
        tracked.set_tags({REVISION_TAG: code_revision() or "unknown", IMAGE_TAG: container_image()})
        mlflow.start_run(run_id=run.info.run_id, nested=True, log_system_metrics=system_metrics)
    status, reason = "FINISHED", ""
    try:
        yield tracked
    except BaseException as error:
        status, reason = _status(error)
        raise
    finally:
        _end(client, tracked, status, reason)


def finish_parent(run_key: str, status: Status, experiment: str = "", reason: str = "") -> None:
    """Ends the parent of `run_key`, if there is one and Kubeflow did not create it (Kubeflow ends its own).

    Args:
        run_key: identifies the pipeline run.
        status: how it ended.
        experiment: name; empty: look in all.
        reason: why it failed, in one line.
    """
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        known = client.get_experiment_by_name(experiment) if experiment else None
        parent = find_parent(client, _checked(run_key), [known.experiment_id] if known else all_experiments(client))
        if parent is None or KUBEFLOW_RUN_TAG in parent.data.tags:
            return
        if reason:
            client.set_tag(parent.info.run_id, FAILURE_TAG, reason)
        client.set_terminated(parent.info.run_id, status)


def _open(client: MlflowClient, step: str, run_key: str, experiment: str, run_name: str) -> tuple[Run, str]:
    """Returns the step's run and the id of its parent."""
    parent = None
    if injected := os.environ.get("MLFLOW_RUN_ID"):
        run = client.get_run(injected)
        if parent_id := run.data.tags.get(MLFLOW_PARENT_TAG):
            _tag(client, injected, run_key, "step", step)
            _tag(client, parent_id, run_key, "pipeline")
            return run, parent_id
        _tag(client, injected, run_key, "pipeline")
        parent = run
    if parent is None:
        own_experiment = experiment_id(client, experiment)
        parent = find_parent(client, run_key, [own_experiment]) or create_run(
            client, own_experiment, run_name, {RUN_KEY_TAG: run_key, ROLE_TAG: "pipeline"}
        )
    parent_experiment, parent_id = parent.info.experiment_id, parent.info.run_id
    tags = {MLFLOW_PARENT_TAG: parent_id, STEP_TAG: step}
    run = find_run(client, [parent_experiment], tags) or create_run(
        client, parent_experiment, step, tags, {RUN_KEY_TAG: run_key, ROLE_TAG: "step"}
    )
    return run, parent_id


def _tag(client: MlflowClient, run_id: str, run_key: str, role: str, step: str = "") -> None:
    for name, value in {RUN_KEY_TAG: run_key, ROLE_TAG: role, STEP_TAG: step}.items():
        if value:
            client.set_tag(run_id, name, value)


def _checked(run_key: str) -> str:
    if not re.fullmatch(r"[\w.:@+-]{1,200}", run_key):
        raise FaceForgeError(f"run key {run_key!r} is not valid; use letters, digits and . : @ + - _")
    return run_key


def _status(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", "interrupted"
    if isinstance(error, SystemExit) and not error.code:
        return "FINISHED", ""
    line = first_line(str(error))
    return "FAILED", line if isinstance(error, FaceForgeError) else f"{type(error).__name__}: {line}"


def _end(client: MlflowClient, tracked: StepRun, status: str, reason: str) -> None:
    """Ends the run; an error of MLflow is only a warning, so that it does not hide the step's own error."""
    import mlflow

    try:
        with limited_retries(retries=3):
            active: Any = mlflow.active_run()
            while active is not None and active.info.run_id != tracked.run_id:  # left open by the body
                mlflow.end_run(status)
                active = mlflow.active_run()
            mlflow.end_run(status)
            if status != "FINISHED":
                client.set_tag(tracked.run_id, FAILURE_TAG, reason)
                _finish_parent_of(client, tracked, status, reason)
    except Exception as error:
        print(f"warning: run {tracked.run_id} could not be ended: {first_line(error, 200)}", file=sys.stderr)


def _finish_parent_of(client: MlflowClient, tracked: StepRun, status: str, reason: str) -> None:
    """A step that did not succeed ends the parent with the same status."""
    if KUBEFLOW_RUN_TAG in client.get_run(tracked.parent_id).data.tags:
        return
    client.set_tag(tracked.parent_id, FAILURE_TAG, reason)
    client.set_terminated(tracked.parent_id, status)
