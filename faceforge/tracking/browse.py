"""Reads pipeline runs back from MLflow: list, training curves, sample grids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.tracking.connection import readable
from faceforge.tracking.tags import (
    DECISION_TAG,
    FAILURE_TAG,
    MLFLOW_PARENT_TAG,
    MODEL_TAG,
    REASONS_TAG,
    ROLE_TAG,
    STEP_TAG,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_WHAT = "MLflow runs"
_GRID = re.compile(r"images/samples\+step\+(\d+)\+.*\.png")  # as StepRun.log_image has MLflow name them


@dataclass(frozen=True)
class RunSummary:
    """One pipeline run.

    Attributes:
        run_id: id of the parent run.
        name: its name.
        started: ISO 8601, UTC.
        status: RUNNING, FINISHED, FAILED or KILLED.
        failure: why it failed, in one line; else empty.
        decision: promote, hold, reject; empty before the evaluation.
        reasons: reasons for the decision.
        model: `models:/NAME/VERSION`; empty before the registration.
        metrics: headline metrics by name.
    """

    run_id: str
    name: str
    started: str
    status: str
    failure: str
    decision: str
    reasons: str
    model: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Grid:
    """A sample grid drawn during training, after `images_seen` real images; `read_grid` downloads it."""

    images_seen: int
    run_id: str
    path: str


def list_runs(experiment: str, at_most: int = 50) -> list[RunSummary]:
    """The newest pipeline runs of an experiment, newest first; empty if there is no such experiment.

    Raises:
        FaceForgeError: MLflow does not answer.
    """
    with readable(_WHAT):
        client = _client()
        known = client.get_experiment_by_name(experiment)
        if known is None:
            return []
        runs = client.search_runs(
            [known.experiment_id],
            f"tags.`{ROLE_TAG}` = 'pipeline'",
            max_results=at_most,
            order_by=["attributes.start_time DESC"],
        )
        return [_summary(run) for run in runs]


def training_curves(run_id: str, names: tuple[str, ...]) -> dict[str, list[tuple[int, float]]]:
    """Metric -> points (images seen, value) in order, of the training step; metrics that were not logged are omitted.

    Raises:
        FaceForgeError: no such run, or MLflow does not answer.
    """
    with readable(_WHAT):
        client = _client()
        step = _training_step(client, run_id)
        logged = [name for name in names if step is not None and name in step.data.metrics]
        return {
            name: sorted((point.step, point.value) for point in client.get_metric_history(step.info.run_id, name))
            for name in logged
            if step is not None
        }


def training_grids(run_id: str) -> list[Grid]:
    """The sample grids of a pipeline run's training step, in the order in which they were drawn.

    Raises:
        FaceForgeError: no such run, or MLflow does not answer.
    """
    with readable(_WHAT):
        client = _client()
        step = _training_step(client, run_id)
        if step is None:
            return []
        paths = [file.path for file in client.list_artifacts(step.info.run_id, "images")]
    matches = [(match, path) for path in paths if (match := _GRID.fullmatch(path))]
    return sorted((Grid(int(match[1]), step.info.run_id, path) for match, path in matches), key=lambda g: g.images_seen)


def read_grid(grid: Grid) -> bytes:
    """PNG bytes of a grid.

    Raises:
        FaceForgeError: the grid is deleted, or MLflow does not answer.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with readable(_WHAT), TemporaryDirectory() as folder:
        return Path(_client().download_artifacts(grid.run_id, grid.path, folder)).read_bytes()


def _summary(run: Run) -> RunSummary:
    tags = run.data.tags
    return RunSummary(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        status=run.info.status,
        failure=tags.get(FAILURE_TAG, ""),
        decision=tags.get(DECISION_TAG, ""),
        reasons=tags.get(REASONS_TAG, ""),
        model=tags.get(MODEL_TAG, ""),
        metrics=dict(run.data.metrics),
    )


def _training_step(client: MlflowClient, run_id: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    try:
        parent = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise FaceForgeError(f"there is no run {run_id!r} in this MLflow") from None
        raise
    query = f"tags.`{STEP_TAG}` = 'train' and tags.`{MLFLOW_PARENT_TAG}` = '{parent.info.run_id}'"
    steps = client.search_runs([parent.info.experiment_id], query, max_results=1)
    return steps[0] if steps else None


def _client() -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient()
