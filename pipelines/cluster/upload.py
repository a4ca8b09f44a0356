"""Compiled pipelines as versions on a Kubeflow Pipelines server, named by the code revision that they come from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faceforge
from faceforge.errors import FaceForgeError
from pipelines.cluster.server import Server, UnreachableError, all_pages, patiently, quiet, readable

if TYPE_CHECKING:
    from kfp import Client

_REVISION_LETTERS = 12


@dataclass(frozen=True)
class Version:
    """A pipeline version on the server.

    Attributes:
        pipeline_id: of the pipeline.
        version_id: of the version.
        name: see `version_name`.
    """

    pipeline_id: str
    version_id: str
    name: str


def package_digest(package: Path) -> str:
    """SHA-256 of a compiled pipeline, in hexadecimal.

    Raises:
        FaceForgeError: there is no such file.
    """
    try:
        return hashlib.sha256(package.read_bytes()).hexdigest()
    except OSError:
        raise FaceForgeError(
            f"compiled pipeline {package} does not exist; write it with: faceforge pipeline compile"
        ) from None


def version_name(package: Path) -> str:
    """`REVISION-DIGEST`: the revision of the code (its version where there is none), and of the compiled file.

    The same revision compiled with other options (a GPU, another image) is another version.
    """
    from faceforge.tracking.revision import code_revision

    commit, dash, dirty = code_revision().partition("-")
    revision = f"{commit[:_REVISION_LETTERS]}{dash}{dirty}" if commit else faceforge.__version__
    return f"{revision}-{package_digest(package)[:8]}"


def upload(client: Client, package: Path, server: Server) -> Version:
    """The version that `version_name` names, uploaded unless it is there; safe to repeat and to do twice at once.

    Raises:
        FaceForgeError: the package cannot be read, or the server does not take it.
    """
    name = version_name(package)
    pipeline_id = _pipeline(client, read_package(package)[0], server)
    if found := _find_version(client, pipeline_id, name):
        return found
    try:
        with readable(f"upload of {package}"), quiet():
            made = client.upload_pipeline_version(str(package), name, pipeline_id=pipeline_id)
    except FaceForgeError:
        # Somebody else was quicker, or the answer was lost after the work was done.
        if found := _find_version(client, pipeline_id, name):
            return found
        raise
    return Version(pipeline_id, str(made.pipeline_version_id), name)


def experiment(client: Client, name: str, server: Server) -> str:
    """Id of the experiment of that name, made if there is none."""

    def ask() -> str:
        return str(
            patiently(
                f"experiment {name!r}", lambda: client.create_experiment(name, namespace=server.namespace or None)
            ).experiment_id
        )

    try:
        return ask()
    except UnreachableError:
        raise
    except FaceForgeError:
        return ask()  # somebody else has just made it


def _pipeline(client: Client, name: str, server: Server) -> str:
    import kfp_server_api

    if found := _find_pipeline(client, name, server):
        return found
    api = kfp_server_api.PipelineServiceApi(client.pipelines.api_client)
    wanted = kfp_server_api.V2beta1Pipeline(display_name=name, name=name, namespace=server.namespace or None)
    try:
        with readable(f"pipeline {name!r}"), quiet():
            return str(api.pipeline_service_create_pipeline(wanted).pipeline_id)
    except FaceForgeError:
        if found := _find_pipeline(client, name, server):
            return found
        raise


def _find_pipeline(client: Client, name: str, server: Server) -> str:
    found = all_pages(
        "list of pipelines",
        client.list_pipelines,
        "pipelines",
        namespace=server.namespace or None,
        filter=equals("display_name", name),
    )
    return str(found[0].pipeline_id) if found else ""


def _find_version(client: Client, pipeline_id: str, name: str) -> Version | None:
    found = all_pages(
        "list of pipeline versions",
        client.list_pipeline_versions,
        "pipeline_versions",
        pipeline_id=pipeline_id,
        filter=equals("display_name", name),
    )
    return Version(pipeline_id, str(found[0].pipeline_version_id), name) if found else None


def equals(key: str, value: str) -> str:
    """A filter of a listing."""
    predicate: dict[str, Any] = {"operation": "EQUALS", "key": key, "stringValue": value}
    return json.dumps({"predicates": [predicate]})


def read_package(package: Path) -> tuple[str, set[str]]:
    """Name and parameters of a compiled pipeline.

    Raises:
        FaceForgeError: it cannot be read, or is something else.
    """
    import yaml

    package_digest(package)
    try:
        spec = next(iter(yaml.safe_load_all(package.read_text(encoding="utf-8"))))
        name, inputs = spec["pipelineInfo"]["name"], spec["root"].get("inputDefinitions", {}).get("parameters", {})
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, StopIteration, UnicodeDecodeError):
        raise FaceForgeError(
            f"{package} is not a compiled pipeline; write one with: faceforge pipeline compile"
        ) from None
    return str(name), set(inputs)
