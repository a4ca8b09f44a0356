"""Sending the compiled pipeline to a Kubeflow Pipelines server: a version named by its code, and a run of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from faceforge.errors import FaceForgeError
from pipelines.cluster.server import Server, connect, quiet, readable
from pipelines.cluster.upload import experiment, read_package, upload
from pipelines.definition.parameters import RunParameters, SynthesisParameters


@dataclass(frozen=True)
class Submitted:
    """A run that was started.

    Attributes:
        run_id: on the server.
        run_key: in MLflow, and of the checkpoints.
        version: name of the pipeline version.
        page: its address in the UI.
    """

    run_id: str
    run_key: str
    version: str
    page: str

    def lines(self, parameters: RunParameters | SynthesisParameters) -> Iterator[str]:
        """Where it is to be found, for a screen."""
        yield f"submitted {self.run_id}"
        yield f"  pipeline  {self.version}"
        yield f"  run       {self.page}"
        where = parameters.tracking_uri or "as the image or its secrets say"
        yield f"  MLflow    {where} · experiment {parameters.experiment} · run {self.run_key}"


def submit(
    package: Path, parameters: RunParameters | SynthesisParameters, server: Server, *, run_key: str = ""
) -> Submitted:
    """Start a run of the compiled `package`.

    Args:
        package: written by `pipelines.definition.compile`; uploaded as a version unless it is there.
        parameters: already validated; the server itself accepts anything.
        server: where to.
        run_key: identifies the run in MLflow and names its checkpoints; '' makes a new one.

    Raises:
        FaceForgeError: no endpoint, no answer, access denied, or the package does not fit.
    """
    key = run_key or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    # checkpoint_root is left to the package, which knows whether it mounts a volume.
    arguments = {**parameters.model_dump(), "run_key": key}
    title, inputs = read_package(package)
    if unknown := sorted(set(arguments) - inputs):
        raise FaceForgeError(f"pipeline {title!r} in {package} takes no {', '.join(unknown)}; compile it anew")
    client = connect(server)
    version = upload(client, package, server)
    where = experiment(client, parameters.experiment, server)
    with readable("submission"), quiet():
        started = client.run_pipeline(
            where,
            run_title(parameters, key),
            params=arguments,
            pipeline_id=version.pipeline_id,
            version_id=version.version_id,
            service_account=server.service_account or None,
        )
    return Submitted(str(started.run_id), key, version.name, server.page("runs", str(started.run_id)))


def run_title(parameters: RunParameters | SynthesisParameters, key: str) -> str:
    """What a run is called on the server."""
    return f"{parameters.title} {key}"
