"""Finds runs and experiments in MLflow by their tags, or creates them once, however many processes try."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from faceforge.errors import FaceForgeError
from faceforge.tracking.tags import MLFLOW_KIND_TAG, MLFLOW_SOURCE_TAG, ROLE_TAG, RUN_KEY_TAG
from faceforge.tracking.uri import artifact_root

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL_KIND = "custom_model_development"  # MLflow's view for models, not for language models


def find_parent(client: MlflowClient, run_key: str, experiment_ids: list[str]) -> Run | None:
    """The parent run of the pipeline run `run_key`."""
    return find_run(client, experiment_ids, {RUN_KEY_TAG: run_key, ROLE_TAG: "pipeline"})


def find_run(client: MlflowClient, experiment_ids: list[str], tags: dict[str, str]) -> Run | None:
    """The oldest run with these tags that is not deleted."""
    text = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    runs = client.search_runs(experiment_ids, text, order_by=["attributes.start_time ASC"], max_results=10)
    return min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)


def create_run(
    client: MlflowClient, experiment_id: str, name: str, identity: dict[str, str], more: dict[str, str] | None = None
) -> Run:
    """A new run with the tags `identity` and `more`; if several processes create one, all get the oldest."""
    from mlflow.tracking.context.registry import resolve_tags

    tags = {MLFLOW_SOURCE_TAG: "faceforge", **identity, **(more or {})}
    mine = client.create_run(experiment_id, tags=resolve_tags(tags), run_name=name)
    first = find_run(client, [experiment_id], identity)
    if first is None or first.info.run_id == mine.info.run_id:
        return mine
    client.delete_run(mine.info.run_id)
    return first


def experiment_id(client: MlflowClient, name: str) -> str:
    """Id of the experiment `name`; created if missing.

    Raises:
        FaceForgeError: the experiment is deleted, or its artifacts are out of reach of this process.
    """
    from mlflow import get_tracking_uri
    from mlflow.exceptions import MlflowException

    uri, found = get_tracking_uri(), client.get_experiment_by_name(name)
    root = artifact_root(uri)
    if found is None:
        # Set explicitly: MLflow's default depends on the working folder of the first process.
        location = (root / quote(name, safe="")).as_uri() if root else None
        try:
            return str(client.create_experiment(name, artifact_location=location, tags={MLFLOW_KIND_TAG: MODEL_KIND}))
        except MlflowException:  # another step has just created it
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


def all_experiments(client: MlflowClient) -> list[str]:
    """Ids of all experiments that are not deleted."""
    return [experiment.experiment_id for experiment in client.search_experiments()]
