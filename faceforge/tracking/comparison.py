"""Describes a model version by the run that produced it, and compares two versions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceforge.tracking.connection import readable
from faceforge.tracking.find_runs import all_experiments
from faceforge.tracking.tags import DATASET_TAG, HOLDOUT_TAG, MLFLOW_PARENT_TAG, PARENT_RUN_TAG, REASONS_TAG, STEP_TAG
from faceforge.tracking.versions import VersionInfo, find_version, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


_AT_ONCE = 100  # runs per request
_OTHERS = ("champion/", "against_champion/")  # metrics of evaluate that describe another version


@dataclass(frozen=True)
class Details:
    """A version and the headline of the pipeline run that made it.

    Attributes:
        info: the version.
        metrics: final values by name; empty if the run is deleted.
        params: settings by name; empty if the run is deleted.
        reasons: reasons for the decision.
        run_name: name of the run; empty if it is deleted.
    """

    info: VersionInfo
    metrics: dict[str, float]
    params: dict[str, str]
    reasons: str
    run_name: str


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side.

    Attributes:
        left: first version.
        right: second version.
        metrics: (name, left, right) of all metrics; None = not logged.
        params: (name, left, right) of the settings that differ; "" = not logged.
        notes: reasons why the metrics are not comparable, if any.
    """

    left: Details
    right: Details
    metrics: list[tuple[str, float | None, float | None]]
    params: list[tuple[str, str, str]]
    notes: list[str]


def describe(name: str, version: str) -> Details:
    """Describes a version, given by number or alias.

    Raises:
        FaceForgeError: no such registered model, version or alias.
    """
    info = find_version(name, version)
    with readable("MLflow"):
        client = mlflow_client()
        run = existing_run(client, info.tags.get(PARENT_RUN_TAG, ""))
        metrics = _metrics(client, run) if run else {}
    if run is None:
        return Details(info, {}, {}, "", "")
    data = run.data
    return Details(info, metrics, dict(data.params), data.tags.get(REASONS_TAG, ""), run.info.run_name or "")


def key_metrics(versions: Sequence[VersionInfo]) -> dict[str, dict[str, float]]:
    """Version number -> metrics of the pipeline run that made it; a deleted run has none."""
    with readable("MLflow"):
        client = mlflow_client()
        runs = existing_runs(client, {info.tags.get(PARENT_RUN_TAG, "") for info in versions} - {""})
    found = {info.version: runs.get(info.tags.get(PARENT_RUN_TAG, "")) for info in versions}
    return {number: dict(run.data.metrics) if run else {} for number, run in found.items()}


def compare(name: str, left: str, right: str) -> Comparison:
    """Compares two versions, given by number or alias.

    Raises:
        FaceForgeError: no such registered model, version or alias.
    """
    one, other = describe(name, left), describe(name, right)
    metrics = [
        (key, one.metrics.get(key), other.metrics.get(key)) for key in sorted(one.metrics.keys() | other.metrics.keys())
    ]
    params = [
        (key, one.params.get(key, ""), other.params.get(key, ""))
        for key in sorted(one.params.keys() | other.params.keys())
        if one.params.get(key) != other.params.get(key)
    ]
    return Comparison(one, other, metrics, params, _notes(one, other))


def _metrics(client: MlflowClient, parent: Run) -> dict[str, float]:
    """The parent's metrics and those of its step `evaluate`, which has all of them."""
    query = f"tags.`{MLFLOW_PARENT_TAG}` = '{parent.info.run_id}' and tags.`{STEP_TAG}` = 'evaluate'"
    steps = client.search_runs([parent.info.experiment_id], query, max_results=1)
    own = {name: value for step in steps for name, value in step.data.metrics.items() if not name.startswith(_OTHERS)}
    return {**parent.data.metrics, **own}


def existing_run(client: MlflowClient, run_id: str) -> Run | None:
    """The run `run_id`, or None if it no longer exists."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def existing_runs(client: MlflowClient, run_ids: Collection[str]) -> dict[str, Run]:
    """Those of the runs `run_ids` that exist and are not deleted, by id; with a request per hundred runs."""
    ids, experiments, found = sorted(run_ids), all_experiments(client), {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        listed = ", ".join(f"'{run_id}'" for run_id in some)
        for run in client.search_runs(experiments, f"attributes.run_id IN ({listed})", max_results=len(some)):
            found[run.info.run_id] = run
    return found


def _notes(one: Details, other: Details) -> list[str]:
    notes = [f"the run of version {side.info.version} is deleted" for side in (one, other) if not side.run_name]
    digests = [side.info.tags.get(HOLDOUT_TAG) or side.info.tags.get(DATASET_TAG) for side in (one, other)]
    if digests[0] != digests[1]:
        notes.append("the versions were evaluated on different images: their metrics cannot be compared")
    return notes
