"""Lineage of a model version: source -> data -> code -> image -> pipeline run -> MLflow run -> version.

Read from the tags that steps logged; facts that were not logged, or whose run is deleted, are listed as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.tracking.comparison import existing_run
from faceforge.tracking.connection import current_uri, readable
from faceforge.tracking.pages import run_page
from faceforge.tracking.promotion import Event, history
from faceforge.tracking.tags import (
    DATASET_TAG,
    HOLDOUT_TAG,
    IMAGE_TAG,
    MLFLOW_PARENT_TAG,
    PARENT_RUN_TAG,
    REASONS_TAG,
    REVISION_TAG,
    RUN_KEY_TAG,
    STARTED_TAG,
    STEP_TAG,
)
from faceforge.tracking.versions import MODEL_URI, VersionInfo, find_version, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class Step:
    """One step of the pipeline run: its last attempt, code and container image."""

    name: str
    run_id: str
    status: str
    started: str  # ISO 8601, UTC
    revision: str
    image: str


@dataclass(frozen=True)
class Lineage:
    """The lineage of a model version; "" or empty = not known, and then `missing` names it.

    Attributes:
        model: `models:/NAME/VERSION`.
        aliases: its present aliases.
        registered: ISO 8601, UTC.
        decision: decision of its evaluation, with the reasons.
        promotions: when, by whom and why it became champion.
        source: source that ingest read.
        data: digest of the image set built from it.
        trained_on: digest of the image set that training read (an augmented one differs from `data`).
        started_from: weights that training started from: a version, a folder, or fresh weights; empty in older runs.
        holdout: digest of the holdout images.
        revision: revision of the code; several, if the steps differ.
        image: container image; several, if the steps differ; empty outside containers.
        run_key: identifies the pipeline run across retries.
        kubeflow: id, url, pipeline_id, pipeline_version_id, as far as Kubeflow set them.
        run_id: MLflow parent run.
        run_url: its page; empty without a server.
        run_status: its status in MLflow.
        steps: in the order in which they were first started.
        missing: facts that are not known, and why.
    """

    model: str
    aliases: tuple[str, ...]
    registered: str
    decision: str
    promotions: list[Event]
    source: str = ""
    data: str = ""
    trained_on: str = ""
    started_from: str = ""
    holdout: str = ""
    revision: str = ""
    image: str = ""
    run_key: str = ""
    kubeflow: dict[str, str] = field(default_factory=dict)
    run_id: str = ""
    run_url: str = ""
    run_status: str = ""
    steps: list[Step] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def lineage_of(model_uri: str) -> Lineage:
    """The lineage of `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        FaceForgeError: not a model address, no such version, or MLflow does not answer.
    """
    address = MODEL_URI.fullmatch(model_uri)
    if not address:
        raise FaceForgeError(f"{model_uri!r} is not a model address; write models:/NAME@ALIAS or models:/NAME/VERSION")
    name = address["name"]
    version = find_version(name, address["alias"] or address["version"])
    promotions = [event for event in history(name) if event.version == version.version]
    with readable("MLflow"):
        client = mlflow_client()
        run = existing_run(client, version.tags.get(PARENT_RUN_TAG, ""))
        return _trace(client, f"models:/{name}/{version.version}", version, promotions, run)


def _trace(client: MlflowClient, model: str, version: VersionInfo, promotions: list[Event], run: Run | None) -> Lineage:
    steps = _steps(client, run) if run else []
    data = run.data.tags if run else {}
    trained_on = version.tags.get(DATASET_TAG, "")
    facts = {
        "source": _source(run) if run else "",
        "data": data.get(DATASET_TAG, ""),
        "trained_on": trained_on,
        "holdout": version.tags.get(HOLDOUT_TAG, ""),
        "revision": _common(step.revision for step in steps) or version.tags.get(REVISION_TAG, ""),
        "run_key": version.tags.get(RUN_KEY_TAG, ""),
        "run_id": run.info.run_id if run else version.tags.get(PARENT_RUN_TAG, ""),
    }
    missing = [f"{name}: not logged" for name, value in facts.items() if value in ("", "unknown")]
    if run is None:
        missing.insert(0, f"run: {facts['run_id'] or 'none'} is not in this MLflow, or was deleted for good")
    elif run.info.lifecycle_stage != "active":
        missing.append("run: it is deleted, but can still be restored")
    if len({step.revision for step in steps}) > 1:
        missing.append("revision: the steps ran with different code, see steps")
    return Lineage(
        model=model,
        aliases=version.aliases,
        registered=version.created,
        decision=": ".join(filter(None, (version.decision, data.get(REASONS_TAG, "")))),
        promotions=promotions,
        started_from=data.get(STARTED_TAG, ""),
        image=_common(step.image for step in steps),
        kubeflow={key[len("kfp.") :]: value for key, value in data.items() if key.startswith("kfp.")},
        run_url=_page(run) if run else "",
        run_status=run.info.status if run else "",
        steps=steps,
        missing=missing,
        **facts,
    )


def _steps(client: MlflowClient, parent: Run) -> list[Step]:
    query = f"tags.`{MLFLOW_PARENT_TAG}` = '{parent.info.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], query, order_by=["attributes.start_time ASC"])
    return [
        Step(
            name=run.data.tags.get(STEP_TAG, run.info.run_name or ""),
            run_id=run.info.run_id,
            status=run.info.status,
            started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
            revision=run.data.tags.get(REVISION_TAG, ""),
            image=run.data.tags.get(IMAGE_TAG, ""),
        )
        for run in runs
    ]


def _source(run: Run) -> str:
    """Source that ingest read, from the run's input."""
    for entry in run.inputs.dataset_inputs:
        source = json.loads(entry.dataset.source)
        return str(source.get("uri") or source.get("tags", {}).get("source", ""))
    return ""


def _common(values: Iterable[str]) -> str:
    """The distinct values, joined; a single one if all agree."""
    return ", ".join(dict.fromkeys(filter(None, values)))


def _page(run: Run) -> str:
    uri = current_uri()
    return run_page(uri, run.info.experiment_id, run.info.run_id) if uri.startswith("http") else ""
