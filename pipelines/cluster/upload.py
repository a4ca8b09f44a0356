"""Uploading compiled pipelines as pipeline versions, named by code revision and file digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faceforge
from faceforge.errors import FaceForgeError
from pipelines.cluster.api import LoginPageError, UnreachableError, api_errors, equals, list_all, silenced, with_retries
from pipelines.cluster.connection import namespace_of

if TYPE_CHECKING:
    from kfp import Client

_COMMIT_LENGTH = 12


@dataclass(frozen=True)
class Version:
    """A pipeline version on the server.

    Attributes:
        pipeline_id: id of the pipeline that it belongs to.
        version_id: id of the version.
        name: see `version_name`.
    """

    pipeline_id: str
    version_id: str
    name: str


def package_digest(package: Path) -> str:
    """SHA-256 of a compiled pipeline, in hexadecimal.

    Raises:
        FaceForgeError: the file cannot be read.
    """
    try:
        return hashlib.sha256(package.read_bytes()).hexdigest()
    except OSError:
        raise FaceForgeError(
            f"compiled pipeline {package} does not exist; write it with: faceforge pipeline compile"
        ) from None


def version_name(package: Path) -> str:
    """`REVISION-DIGEST` of a compiled pipeline: code revision (or package version) and start of the file's SHA-256.

    The same revision compiled with other options (a GPU, another image) becomes another version.
    """
    from faceforge.tracking.revision import code_revision

    commit, dash, dirty = code_revision().partition("-")
    revision = f"{commit[:_COMMIT_LENGTH]}{dash}{dirty}" if commit else faceforge.__version__
    return f"{revision}-{package_digest(package)[:8]}"


def upload(client: Client, package: Path) -> Version:
    """The pipeline version of a compiled pipeline; uploads it unless it exists. Safe to repeat and to run concurrently.

    Raises:
        FaceForgeError: the package cannot be read, or the server refuses it.
    """
    name = version_name(package)
    pipeline_id = _get_or_create_pipeline(client, read_package(package)[0])
    if version := _find_version(client, pipeline_id, name):
        return version
    try:
        with api_errors(f"upload of {package}"), silenced():
            uploaded = client.upload_pipeline_version(str(package), name, pipeline_id=pipeline_id)
    except FaceForgeError:
        # Another client may have uploaded it first, or only the response was lost.
        if version := _find_version(client, pipeline_id, name):
            return version
        raise
    return Version(pipeline_id, str(uploaded.pipeline_version_id), name)


def get_or_create_experiment(client: Client, name: str) -> str:
    """Id of the experiment with this name; creates it if there is none.

    Raises:
        FaceForgeError: the server failed or refused, or the experiment is archived.
    """

    def get_or_create() -> Any:  # kfp's `create_experiment` returns an existing one
        return client.create_experiment(name, namespace=namespace_of(client))

    try:
        experiment = with_retries(f"experiment {name!r}", get_or_create)
    except (UnreachableError, LoginPageError):
        raise
    except FaceForgeError:
        experiment = with_retries(f"experiment {name!r}", get_or_create)  # another client has just created it
    if str(experiment.storage_state) == "ARCHIVED":
        raise FaceForgeError(
            f"experiment {name!r} is archived; restore it in the UI (Experiments, Archived) or use another --experiment"
        )
    return str(experiment.experiment_id)


def _get_or_create_pipeline(client: Client, name: str) -> str:
    import kfp_server_api

    if pipeline_id := _find_pipeline(client, name):
        return pipeline_id
    api = kfp_server_api.PipelineServiceApi(client.pipelines.api_client)
    body = kfp_server_api.V2beta1Pipeline(display_name=name, name=name, namespace=namespace_of(client))
    try:
        with api_errors(f"pipeline {name!r}"), silenced():
            return str(api.pipeline_service_create_pipeline(body).pipeline_id)
    except FaceForgeError:
        if pipeline_id := _find_pipeline(client, name):
            return pipeline_id
        raise


def _find_pipeline(client: Client, name: str) -> str:
    pipelines = list_all(
        "list of pipelines",
        client.list_pipelines,
        "pipelines",
        namespace=namespace_of(client),
        filter=equals("display_name", name),
    )
    return str(pipelines[0].pipeline_id) if pipelines else ""


def _find_version(client: Client, pipeline_id: str, name: str) -> Version | None:
    versions = list_all(
        "list of pipeline versions",
        client.list_pipeline_versions,
        "pipeline_versions",
        pipeline_id=pipeline_id,
        filter=equals("display_name", name),
    )
    return Version(pipeline_id, str(versions[0].pipeline_version_id), name) if versions else None


def read_package(package: Path) -> tuple[str, set[str]]:
    """Name and parameter names of a compiled pipeline.

    Raises:
        FaceForgeError: the file cannot be read, or is not a compiled pipeline.
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
