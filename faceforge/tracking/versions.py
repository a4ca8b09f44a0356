"""Model versions in the registry: lists them and downloads their files.

Aliases: `challenger` = newest version that was not rejected, `champion` = version in use, `previous` = the champion
before it; `faceforge.tracking.promotion` moves them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceforge.errors import FaceForgeError
from faceforge.tracking.connection import readable
from faceforge.tracking.tags import DECISION_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
Decision = Literal["promote", "hold", "reject"]

MODEL_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/]+)|/(?P<version>\d+))/?")
WHAT = "MLflow registry"
_NAMED = 20  # versions that an error lists
_DIGITS = 9  # of version numbers, at most: MLflow keeps them in 32 bits


@dataclass(frozen=True)
class VersionInfo:
    """A model version."""

    version: str
    aliases: tuple[str, ...]
    decision: str
    created: str  # ISO 8601, UTC
    run_id: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Champion:
    """The champion of a registered model, if there is one.

    Attributes:
        name: registered model.
        version: number; "" = there is no champion.
        bundle: folder of its bundle; None = there is no champion, or its bundle is unreadable.
        error: why the bundle is unreadable, in one line.
    """

    name: str
    version: str = ""
    bundle: Path | None = None
    error: str = ""


def list_versions(name: str) -> list[VersionInfo]:
    """All versions, newest first.

    Raises:
        FaceForgeError: no such registered model.
    """
    with readable(WHAT):
        client = mlflow_client()
        model = registered_model(client, name)
        versions = [_info(model, item) for item in all_versions(client, name)]
    return sorted(versions, key=lambda item: int(item.version), reverse=True)


def find_version(name: str, version: str) -> VersionInfo:
    """A version by number or alias.

    Raises:
        FaceForgeError: no such registered model, version or alias.
    """
    with readable(WHAT):
        client = mlflow_client()
        model = registered_model(client, name)
        return _info(model, chosen_version(client, model, version))


def champion_bundle(name: str, destination: Path) -> Champion:
    """Downloads the champion's bundle into the folder `destination`.

    The result distinguishes a model without a champion and a champion whose bundle cannot be read.

    Raises:
        FaceForgeError: the registry does not answer.
    """
    from mlflow.exceptions import MlflowException

    with readable(WHAT):
        try:
            model = mlflow_client().get_registered_model(name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return Champion(name)
            raise
    version = alias_of(model, CHAMPION)
    if not version:
        return Champion(name)
    try:
        return Champion(name, version, download_bundle(f"models:/{name}/{version}", destination))
    except FaceForgeError as error:
        return Champion(name, version, error=str(error))


def download_bundle(model_uri: str, destination: Path) -> Path:
    """Downloads the bundle of `models:/NAME@ALIAS` or `models:/NAME/VERSION` into the folder `destination`.

    Raises:
        FaceForgeError: no such version, or no readable bundle in it.
    """
    return _download(model_uri, "artifacts/bundle", destination, bundle=".")


def download_version(model_uri: str, destination: Path) -> Path:
    """Downloads all files of a version: a folder with `bundle/` and, if it was evaluated, `report.json` and more.

    Raises:
        FaceForgeError: no such version, or no readable bundle in it.
    """
    return _download(model_uri, "artifacts", destination, bundle="bundle")


def full_name(model_uri: str) -> str:
    """`models:/NAME/VERSION` of `models:/NAME@ALIAS` (or of itself).

    Raises:
        FaceForgeError: no such model or alias.
    """
    name, at, alias = model_uri.rstrip("/").removeprefix("models:/").rpartition("@")
    if not at:
        return model_uri.rstrip("/")
    with readable(model_uri):
        return f"models:/{name}/{mlflow_client().get_model_version_by_alias(name, alias).version}"


def _download(model_uri: str, part: str, destination: Path, bundle: str) -> Path:
    import mlflow

    from faceforge.models.bundle import BundleInfo

    Path(destination).mkdir(parents=True, exist_ok=True)
    with readable(model_uri):
        folder = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{model_uri.rstrip('/')}/{part}", dst_path=str(destination)
        )
    BundleInfo.read(Path(folder) / bundle)
    return Path(folder)


def mlflow_client() -> MlflowClient:
    """A client of the MLflow that `connect` chose."""
    import mlflow

    return mlflow.MlflowClient()


def registered_model(client: MlflowClient, name: str) -> RegisteredModel:
    """The registered model `name`.

    Raises:
        FaceForgeError: it does not exist; the message lists those that do.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    known = ", ".join(model.name for model in client.search_registered_models(max_results=20)) or "none"
    raise FaceForgeError(f"the registry has no model {name!r}; registered: {known}")


def alias_of(model: RegisteredModel, alias: str) -> str:
    """Number of the version that an alias points at; empty = none."""
    return str(model.aliases.get(alias, ""))


def chosen_version(client: MlflowClient, model: RegisteredModel, version: str) -> ModelVersion:
    """A version by number or alias.

    Raises:
        FaceForgeError: it does not exist; the message lists those that do.
    """
    from mlflow.exceptions import MlflowException

    number = str(version) if str(version).isdigit() else alias_of(model, str(version))
    if 0 < len(number) <= _DIGITS:
        try:
            return client.get_model_version(model.name, number)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    numbers = sorted((str(item.version) for item in all_versions(client, model.name)), key=int)
    known = ", ".join([*(["..."] if len(numbers) > _NAMED else []), *numbers[-_NAMED:]]) or "none"
    raise FaceForgeError(f"{model.name} has no version {str(version)!r}; versions: {known}")


def all_versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of a registered model, in no particular order; none if there is no such model."""
    versions: list[ModelVersion] = []
    token: Any = None
    while True:
        page = client.search_model_versions(f"name='{name}'", page_token=token)
        versions += page
        token = page.token
        if not token:
            return versions


def _info(model: RegisteredModel, item: ModelVersion) -> VersionInfo:
    number = str(item.version)  # an integer from SQLite, text from servers
    return VersionInfo(
        version=number,
        aliases=tuple(sorted(alias for alias, of in model.aliases.items() if str(of) == number)),
        decision=item.tags.get(DECISION_TAG, ""),
        created=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        run_id=item.run_id or "",
        tags=dict(item.tags),
    )
