"""The shape of runs: one parent per pipeline run, one nested run per step, both found again on a retry.

>>> connect("sqlite:///mlflow.db")
>>> with step_run("train", run_key="toy-1", experiment="faceforge") as run:
...     run.log_metrics({"loss/generator": 0.7}, step=64)
...     run.headline(metrics={"domain/frechet": 1.5})
>>> finish_parent("toy-1", "FINISHED")

A run that Kubeflow's MLflow plugin has injected (MLFLOW_RUN_ID) is joined: it is the step's run if it has a
parent, else it is the parent.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from faceforge.errors import FaceForgeError, first_line
from faceforge.tracking.connection import artifact_root, connect, impatient, readable
from faceforge.tracking.revision import code_revision, container_image
from faceforge.tracking.step_run import DatasetRef, StepRun
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
    """The step's run, open and active in MLflow, under the one parent of `run_key`.

    Both are created when missing and reopened otherwise. The step's run ends FINISHED, or FAILED / KILLED with the
    reason in the tag `faceforge.failure`, and then the parent with it; a successful step leaves the parent running
    until `finish_parent`.

    Args:
        step: name of the step, also of its run.
        run_key: identifies the pipeline run; the same on a retry.
        experiment: name; ignored when a run is injected.
        run_name: name of a parent yet to be created; empty: the run key.
        system_metrics: sample CPU, memory and GPU use every few seconds.

    Raises:
        FaceForgeError: MLflow cannot be used; anything the body raises passes through.
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
        tracked.flush()
    except BaseException as error:
        status, reason = _verdict(error)
        raise
    finally:
        _end(client, tracked, status, reason)


def finish_parent(run_key: str, status: Status, experiment: str = "", reason: str = "") -> None:
    """Ends the parent of `run_key`, if there is one; one that Kubeflow has created is left to Kubeflow.

    Args:
        run_key: identifies the pipeline run.
        status: how it ended.
        experiment: name; empty: look in all.
        reason: of a failure, in one line.
    """
    import mlflow

    with readable("MLflow"):
        client = mlflow.MlflowClient()
        found = client.get_experiment_by_name(experiment) if experiment else None
        parent = _find_parent(client, _checked(run_key), [found.experiment_id] if found else _all_experiments(client))
        if parent is None or KUBEFLOW_RUN_TAG in parent.data.tags:
            return
        if reason:
            client.set_tag(parent.info.run_id, FAILURE_TAG, reason)
        client.set_terminated(parent.info.run_id, status)


def _open(client: MlflowClient, step: str, run_key: str, experiment: str, run_name: str) -> tuple[Run, str]:
    """The step's run and the id of its parent."""
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
        experiment_id = _experiment_id(client, experiment)
        parent = _find_parent(client, run_key, [experiment_id]) or _create(
            client, experiment_id, run_name, {RUN_KEY_TAG: run_key, ROLE_TAG: "pipeline"}
        )
    experiment_id, parent_id = parent.info.experiment_id, parent.info.run_id
    tags = {MLFLOW_PARENT_TAG: parent_id, STEP_TAG: step}
    run = _find(client, [experiment_id], tags) or _create(
        client, experiment_id, step, tags, {RUN_KEY_TAG: run_key, ROLE_TAG: "step"}
    )
    return run, parent_id


def _create(
    client: MlflowClient, experiment_id: str, name: str, identity: dict[str, str], more: dict[str, str] | None = None
) -> Run:
    """A new run, unless another process has just made the one with these tags: the older of the two stays."""
    from mlflow.tracking.context.registry import resolve_tags

    mine = client.create_run(experiment_id, tags=resolve_tags({**identity, **(more or {})}), run_name=name)
    first = _find(client, [experiment_id], identity)
    if first is None or first.info.run_id == mine.info.run_id:
        return mine
    client.delete_run(mine.info.run_id)
    return first


def _find_parent(client: MlflowClient, run_key: str, experiment_ids: list[str]) -> Run | None:
    return _find(client, experiment_ids, {RUN_KEY_TAG: run_key, ROLE_TAG: "pipeline"})


def _find(client: MlflowClient, experiment_ids: list[str], tags: dict[str, str]) -> Run | None:
    """The oldest run with these tags that has not been deleted."""
    text = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    runs = client.search_runs(experiment_ids, text, order_by=["attributes.start_time ASC"], max_results=10)
    return min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)


def _experiment_id(client: MlflowClient, name: str) -> str:
    from mlflow import get_tracking_uri
    from mlflow.exceptions import MlflowException

    uri, found = get_tracking_uri(), client.get_experiment_by_name(name)
    root = artifact_root(uri)
    if found is None:
        # Said out loud, because MLflow's own default depends on the working folder of whoever comes first.
        location = (root / quote(name, safe="")).as_uri() if root else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another step was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise FaceForgeError(
            f"experiment {name!r} is deleted; run mlflow experiments restore --experiment-id {found.experiment_id}, "
            "or name another"
        )
    if root and found.artifact_location.startswith("mlflow-artifacts:"):
        raise FaceForgeError(
            f"experiment {name!r} keeps its artifacts behind an MLflow server; give that server's http:// address as "
            "tracking URI, or name another experiment"
        )
    return str(found.experiment_id)


def _all_experiments(client: MlflowClient) -> list[str]:
    return [experiment.experiment_id for experiment in client.search_experiments()]


def _tag(client: MlflowClient, run_id: str, run_key: str, role: str, step: str = "") -> None:
    for name, value in {RUN_KEY_TAG: run_key, ROLE_TAG: role, STEP_TAG: step}.items():
        if value:
            client.set_tag(run_id, name, value)


def _checked(run_key: str) -> str:
    if not re.fullmatch(r"[\w.:@+-]{1,200}", run_key):
        raise FaceForgeError(f"run key {run_key!r} is not usable; use letters, digits and . : @ + - _")
    return run_key


def _verdict(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", "interrupted"
    if isinstance(error, SystemExit) and not error.code:
        return "FINISHED", ""
    line = first_line(str(error))
    return "FAILED", line if isinstance(error, FaceForgeError) else f"{type(error).__name__}: {line}"


def _end(client: MlflowClient, tracked: StepRun, status: str, reason: str) -> None:
    """Ends the run; when MLflow is the trouble, the step's own error must be the one that is seen."""
    import mlflow

    try:
        with impatient(retries=3):
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
    """The parent shares the fate of a step that did not succeed."""
    if KUBEFLOW_RUN_TAG in client.get_run(tracked.parent_id).data.tags:
        return
    client.set_tag(tracked.parent_id, FAILURE_TAG, reason)
    client.set_terminated(tracked.parent_id, status)
