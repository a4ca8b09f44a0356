"""Model versions: which there are, which one is in use, and how that changed.

Aliases: `challenger` = the last version that was not rejected, `champion` = the one in use, `previous` = the champion
before it. Every move of the champion is also an entry in the registered model's history.
"""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceforge.errors import FaceForgeError
from faceforge.tracking.connection import readable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
Decision = Literal["promote", "hold", "reject"]

DECISION_TAG = "faceforge.decision"
_EVENT_TAG = "faceforge.event."  # + time; one tag per event, so that writers never overwrite each other
_WHAT = "MLflow registry"


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
class Event:
    """A move of the champion."""

    at: str  # ISO 8601, UTC
    action: str  # promote | rollback
    version: str  # the champion since then
    before: str  # the champion until then; "" = none
    by: str
    reason: str


@dataclass(frozen=True)
class Champion:
    """The version in use, if there is one.

    Attributes:
        name: of the registered model.
        version: "" = there is no champion.
        bundle: its bundle; None = there is none, or it is unreadable.
        error: why it is unreadable, in one line.
    """

    name: str
    version: str = ""
    bundle: Path | None = None
    error: str = ""


def promote(name: str, version: str, reason: str = "", *, force: bool = False, by: str = "") -> Event | None:
    """Makes a version the champion; the champion so far becomes `previous`.

    Args:
        name: registered model.
        version: number or alias.
        reason: kept in the history.
        force: also a version whose evaluation said "reject"; needs a reason.
        by: who; empty: the user of this process.

    Returns:
        The entry in the history; None when the version is the champion already.

    Raises:
        FaceForgeError: no such version, its bundle is unreadable, or it was rejected.
    """
    with readable(_WHAT):
        client, model = _client(), _model(name)
        chosen = _version(client, model, version)
        number = str(chosen.version)  # SQLite answers with an integer, servers with text
        if number == _alias(model, CHAMPION):
            return None
        if chosen.tags.get(DECISION_TAG) == "reject" and not (force and reason):
            raise FaceForgeError(
                f"{name} version {number} was rejected by its evaluation; to promote it all the same, use "
                "force and give a reason"
            )
        if error := _unreadable(name, number):
            raise FaceForgeError(f"{name} version {number} cannot be promoted: {error}")
        return _move(client, model, "promote", number, reason, by)


def rollback(name: str, reason: str = "", *, by: str = "") -> Event:
    """Exchanges `champion` and `previous`: undoes the last promotion; a second rollback undoes the first.

    Raises:
        FaceForgeError: there is nothing to go back to.
    """
    with readable(_WHAT):
        client, model = _client(), _model(name)
        champion, previous = _alias(model, CHAMPION), _alias(model, PREVIOUS)
        if not champion or not previous or champion == previous:
            raise FaceForgeError(f"{name} has no previous champion to go back to; see faceforge registry list")
        return _move(client, model, "rollback", previous, reason, by)


def list_versions(name: str) -> list[VersionInfo]:
    """All versions, newest first.

    Raises:
        FaceForgeError: no such registered model.
    """
    with readable(_WHAT):
        model = _model(name)
        aliases: dict[str, list[str]] = {}
        for alias, version in model.aliases.items():
            aliases.setdefault(str(version), []).append(alias)
        found = [
            VersionInfo(
                version=str(item.version),
                aliases=tuple(sorted(aliases.get(str(item.version), []))),
                decision=item.tags.get(DECISION_TAG, ""),
                created=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
                run_id=item.run_id or "",
                tags=dict(item.tags),
            )
            for item in all_versions(_client(), name)
        ]
    return sorted(found, key=lambda item: int(item.version), reverse=True)


def history(name: str) -> list[Event]:
    """Every move of the champion, oldest first.

    Raises:
        FaceForgeError: no such registered model.
    """
    with readable(_WHAT):
        tags = _model(name).tags
    return [Event(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(_EVENT_TAG)]


def champion_bundle(name: str, destination: Path) -> Champion:
    """Fetches the champion's bundle into the folder `destination`.

    "There is none yet" and "there is one that cannot be read" are told apart; a registry that does not answer is
    neither.

    Raises:
        FaceForgeError: the registry does not answer.
    """
    from mlflow.exceptions import MlflowException

    with readable(_WHAT):
        try:
            model = _client().get_registered_model(name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return Champion(name)
            raise
    version = _alias(model, CHAMPION)
    if not version:
        return Champion(name)
    try:
        return Champion(name, version, download_bundle(f"models:/{name}/{version}", destination))
    except FaceForgeError as error:
        return Champion(name, version, error=str(error))


def download_bundle(model_uri: str, destination: Path) -> Path:
    """The bundle of `models:/NAME@ALIAS` or `models:/NAME/VERSION`, copied into the folder `destination`.

    Raises:
        FaceForgeError: no such version, or no readable bundle in it.
    """
    return _download(model_uri, "artifacts/bundle", destination, bundle=".")


def download_version(model_uri: str, destination: Path) -> Path:
    """Everything kept with a version: a folder with `bundle/` and, where it was evaluated, `report.json` and more.

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
        return f"models:/{name}/{_client().get_model_version_by_alias(name, alias).version}"


def _download(model_uri: str, what: str, destination: Path, bundle: str) -> Path:
    import mlflow

    from faceforge.models.bundle import BundleInfo

    Path(destination).mkdir(parents=True, exist_ok=True)
    with readable(model_uri):
        folder = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{model_uri.rstrip('/')}/{what}", dst_path=str(destination)
        )
    BundleInfo.read(Path(folder) / bundle)
    return Path(folder)


def _move(client: MlflowClient, model: RegisteredModel, action: str, version: str, reason: str, by: str) -> Event:
    """Sets the aliases and writes it down. Every part may be repeated after an interruption."""
    before, now = _alias(model, CHAMPION), datetime.now(UTC).isoformat(timespec="microseconds")
    event = Event(now, action, version, before, by or _user(), reason[:500])
    client.set_registered_model_tag(model.name, f"{_EVENT_TAG}{now.replace('+00:00', 'Z')}", json.dumps(asdict(event)))
    for key in ("at", "by", "reason"):
        client.set_model_version_tag(model.name, version, f"faceforge.promoted_{key}", getattr(event, key) or "-")
    if before:
        client.set_registered_model_alias(model.name, PREVIOUS, before)
    client.set_registered_model_alias(model.name, CHAMPION, version)
    return event


def _client() -> MlflowClient:
    import mlflow

    return mlflow.MlflowClient()


def _model(name: str) -> RegisteredModel:
    from mlflow.exceptions import MlflowException

    client = _client()
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    known = ", ".join(model.name for model in client.search_registered_models(max_results=20)) or "none"
    raise FaceForgeError(f"the registry has no model {name!r}; registered: {known}")


def _alias(model: RegisteredModel, alias: str) -> str:
    return str(model.aliases.get(alias, ""))


def _version(client: MlflowClient, model: RegisteredModel, version: str) -> ModelVersion:
    """A version by number or alias."""
    number = str(version) if str(version).isdigit() else _alias(model, str(version))
    found = {str(item.version): item for item in all_versions(client, model.name)}
    if number not in found:
        known = ", ".join(sorted(found, key=int)) or "none"
        raise FaceForgeError(f"{model.name} has no version {str(version)!r}; versions: {known}")
    return found[number]


def all_versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of a registered model, in no particular order; none if there is no such model."""
    found: list[ModelVersion] = []
    token: Any = None
    while True:
        page = client.search_model_versions(f"name='{name}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _unreadable(name: str, version: str) -> str:
    """Why a version's bundle cannot be used; empty = it can."""
    from tempfile import TemporaryDirectory

    try:
        with TemporaryDirectory() as folder:
            download_bundle(f"models:/{name}/{version}", Path(folder))
    except FaceForgeError as error:
        return str(error)
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's arbitrary user id has no name
        return f"uid {os.getuid()}"
