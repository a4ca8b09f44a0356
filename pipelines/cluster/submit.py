"""Starting a run of a compiled pipeline on a Kubeflow Pipelines server."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.tracking.pages import PUBLIC_URL, server_page
from faceforge.tracking.uri import without_account
from pipelines.cluster.api import UnreachableError, api_errors, silenced
from pipelines.cluster.close import close_stale
from pipelines.cluster.connection import connect
from pipelines.cluster.runs import FINISHED_STATES, find_runs
from pipelines.cluster.server import Server
from pipelines.cluster.upload import get_or_create_experiment, read_package, upload
from pipelines.definition.parameters import PipelineParameters, refuse_password

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
        closed: keys of earlier runs that had stayed RUNNING in MLflow and were ended now.
    """

    run_id: str
    run_key: str
    version: str
    page: str
    closed: tuple[str, ...] = ()

    def lines(self, parameters: PipelineParameters) -> Iterator[str]:
        """Lines for the user: the run's id, its pages and its place in MLflow."""
        yield f"submitted {self.run_id}"
        yield f"  pipeline  {self.version}"
        yield f"  run       {self.page}"
        address = _mlflow_address(parameters.tracking_uri)
        yield f"  MLflow    {address} · experiment {parameters.experiment} · run {self.run_key}"
        for key in self.closed:
            yield f"  run {key} had ended and was still RUNNING in MLflow; it is FAILED there now"


def submit(package: Path, parameters: PipelineParameters, server: Server, *, run_key: str = "") -> SubmittedRun:
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
    return SubmittedRun(run_id, key, version.name, server.page("runs", run_id), _close_stale(client))


def _close_stale(client: Client) -> tuple[str, ...]:
    """Ends MLflow runs of dead pipeline runs, if this machine has been told where MLflow is; a failure is a warning."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri.startswith("http"):
        return ()
    try:
        return tuple(close_stale(client, uri))
    except FaceForgeError as error:
        print(f"warning: runs that stayed RUNNING in MLflow were not ended: {error}", file=sys.stderr)
        return ()


def _mlflow_address(tracking_uri: str) -> str:
    """MLflow as people open it from here; `tracking_uri` is its address for pods, which may be one of the cluster."""
    own = os.environ.get("MLFLOW_TRACKING_URI", "")
    uri = own if own.startswith("http") else tracking_uri
    if not uri and not os.environ.get(PUBLIC_URL):
        return "as set in the image or its secrets"
    return server_page(without_account(uri))


def _unfinished_run(client: Client, title: str) -> str:
    """Id of the newest unfinished run with this title; '' if there is none."""
    runs = find_runs(client, limit=10, title=title)
    return next((str(run.run_id) for run in runs if str(run.state) not in FINISHED_STATES), "")


def run_title(parameters: PipelineParameters, key: str) -> str:
    """Display name of a run on the server."""
    return f"{parameters.title} {key}"
