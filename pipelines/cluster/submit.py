"""Starting a run of a compiled pipeline on a Kubeflow Pipelines server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import UnreachableError, api_errors, silenced
from pipelines.cluster.connection import connect
from pipelines.cluster.runs import FINISHED_STATES, find_runs
from pipelines.cluster.server import Server
from pipelines.cluster.upload import get_or_create_experiment, read_package, upload
from pipelines.definition.parameters import RunParameters, SynthesisParameters, refuse_password

PUBLIC_MLFLOW = "FACEFORGE_MLFLOW_URL"  # address of MLflow for people, where pods use another one

if TYPE_CHECKING:
    from kfp import Client


@dataclass(frozen=True)
class SubmittedRun:
    """A run that was started.

    Attributes:
        run_id: id on the Kubeflow Pipelines server.
        run_key: identifies the run in MLflow and its checkpoints.
        version: name of the pipeline version.
        page: address of the run's page in the UI.
    """

    run_id: str
    run_key: str
    version: str
    page: str

    def lines(self, parameters: RunParameters | SynthesisParameters) -> Iterator[str]:
        """Lines for the user: the run's id, its pages and its place in MLflow."""
        yield f"submitted {self.run_id}"
        yield f"  pipeline  {self.version}"
        yield f"  run       {self.page}"
        address = os.environ.get(PUBLIC_MLFLOW) or parameters.tracking_uri or "as set in the image or its secrets"
        yield f"  MLflow    {address} · experiment {parameters.experiment} · run {self.run_key}"


def submit(
    package: Path, parameters: RunParameters | SynthesisParameters, server: Server, *, run_key: str = ""
) -> SubmittedRun:
    """Start a run of the compiled `package`.

    Args:
        package: written by `pipelines.definition.compile`; uploaded as a pipeline version unless it exists.
        parameters: validated parameters (the server itself accepts any).
        server: where to run it.
        run_key: identifies the run in MLflow and its checkpoints; '' = a new key.

    Raises:
        FaceForgeError: no endpoint is set, the server denies access or does not answer, or the package does not fit.
    """
    refuse_password(parameters)
    key = run_key or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    # checkpoint_root keeps the package's default: compilation knows whether a volume is mounted.
    arguments = {**parameters.model_dump(), "run_key": key}
    title, inputs = read_package(package)
    if unknown := sorted(set(arguments) - inputs):
        raise FaceForgeError(f"pipeline {title!r} in {package} has no parameter {', '.join(unknown)}; compile it again")
    client = connect(server)
    version = upload(client, package)
    experiment_id = get_or_create_experiment(client, parameters.experiment)
    title = run_title(parameters, key)
    if run_key and (unfinished := _unfinished_run(client, title)):
        raise FaceForgeError(
            f"run {unfinished} with this run key is in progress; follow it with: faceforge pipeline watch {unfinished}"
        )
    try:
        with api_errors("submission"), silenced():
            run = client.run_pipeline(
                experiment_id,
                title,
                params=arguments,
                pipeline_id=version.pipeline_id,
                version_id=version.version_id,
                service_account=server.service_account or None,
            )
        run_id = str(run.run_id or "")
    except UnreachableError:
        # The server may have created the run before the connection broke; the key is in its title.
        run_id = _unfinished_run(client, title)
        if not run_id:
            raise
    if not run_id:
        raise FaceForgeError(
            "submission: the server's response contains no run id; is this the Kubeflow Pipelines API?"
        )
    return SubmittedRun(run_id, key, version.name, server.page("runs", run_id))


def _unfinished_run(client: Client, title: str) -> str:
    """Id of the newest unfinished run with this title; '' if there is none."""
    runs = find_runs(client, limit=10, title=title)
    return next((str(run.run_id) for run in runs if str(run.state) not in FINISHED_STATES), "")


def run_title(parameters: RunParameters | SynthesisParameters, key: str) -> str:
    """Display name of a run on the server."""
    return f"{parameters.title} {key}"
