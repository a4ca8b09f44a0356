"""Which version is in use: promotion, approval, rollback, and the record of all three.

Every move of the champion is an entry in the registered model's history: what, when, who and why. The entries are the
truth that a rollback reads; should an alias have been moved by other means, the alias wins.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.tracking.connection import readable
from faceforge.tracking.tags import APPROVAL_TAG, DECISION_TAG, EVENT_TAG, PROMOTED_TAG
from faceforge.tracking.versions import (
    CHAMPION,
    PREVIOUS,
    WHAT,
    alias_of,
    chosen_version,
    download_bundle,
    mlflow_client,
    registered_model,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

WAITING = "waiting"

_REQUIRED = "required"


@dataclass(frozen=True)
class Event:
    """A move of the champion."""

    at: str  # ISO 8601, UTC
    action: str  # promote | approve | rollback
    version: str  # the champion since then
    before: str  # the champion until then; "" = none
    by: str
    reason: str


def promote(name: str, version: str, reason: str = "", *, force: bool = False, by: str = "") -> Event | None:
    """Makes a version the champion; the champion so far becomes `previous`.

    Args:
        name: registered model.
        version: number or alias.
        reason: kept in the history.
        force: also a version that its evaluation rejected or that nobody has approved; needs a reason.
        by: who; empty: the user of this process.

    Returns:
        The entry in the history; None when the version is the champion already.

    Raises:
        FaceForgeError: no such version, its bundle is unreadable, it was rejected, or it waits for approval.
    """
    return _promote(name, version, reason, by, "promote", forced=force and bool(reason))


def approve(name: str, version: str, reason: str = "", *, by: str = "") -> Event | None:
    """Gives the approval that `require_approval` asks for, and makes the version the champion; else as `promote`."""
    return _promote(name, version, reason, by, "approve", forced=False)


def rollback(name: str, reason: str = "", *, by: str = "") -> Event:
    """Undoes the last promotion that has not been undone: `champion` and `previous` are what they were before it.

    Raises:
        FaceForgeError: there is nothing to go back to, or what was in use before cannot be read.
    """
    with readable(WHAT):
        client = mlflow_client()
        model = registered_model(client, name)
        champion = alias_of(model, CHAMPION)
        *older, target, _ = ["", "", "", *champions(_events(model), champion)][-3:]
        if not champion or not target:
            raise FaceForgeError(f"{name} has no previous champion to go back to; see faceforge registry history")
        chosen_version(client, model, target)
        if error := _unreadable(name, target):
            raise FaceForgeError(f"{name} cannot go back to version {target}: {error}; promote another")
        return _move(client, model, "rollback", target, older[0], reason, by)


def require_approval(name: str, required: bool = True, *, by: str = "") -> None:
    """Sets the rule that a person has to approve what becomes champion; pipelines then register, but do not promote.

    Args:
        name: registered model; created when missing, so that the rule can come before the first run.
        required: False: lift the rule.
        by: who; empty: the user of this process.
    """
    from mlflow.exceptions import MlflowException

    with readable(WHAT):
        client = mlflow_client()
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        rule = _REQUIRED if required else "none"
        client.set_registered_model_tag(name, APPROVAL_TAG, f"{rule}: {by or _user()}, {_now()}")


def approval_required(name: str) -> bool:
    """Whether a person has to approve what becomes champion.

    Raises:
        FaceForgeError: no such registered model.
    """
    with readable(WHAT):
        return _is_required(registered_model(mlflow_client(), name))


def history(name: str) -> list[Event]:
    """Every move of the champion, oldest first.

    Raises:
        FaceForgeError: no such registered model.
    """
    with readable(WHAT):
        return _events(registered_model(mlflow_client(), name))


def champions(events: Sequence[Event], champion: str) -> list[str]:
    """The champions that rollbacks lead through, the present one last.

    Args:
        events: the history. Moves that were cut off, and those that left no entry, show in the `before` of the next.
        champion: what the alias says now; empty = there is none.
    """
    stack: list[str] = []
    after = [event.before for event in events[1:]] + [champion] * bool(events)
    for event, champion_then in zip(events, after, strict=True):
        if champion_then == event.before != event.version:
            continue  # written down, but cut off before the alias moved
        _agree(stack, event.before)
        if event.action == "rollback":
            del stack[-1:]
        elif stack[-1:] != [event.version]:
            stack.append(event.version)
        _agree(stack, event.version)
    _agree(stack, champion)
    return stack


def _agree(stack: list[str], version: str) -> None:
    """Makes `version` the last, as by a move without an entry: back to one below it, or on to a new one."""
    while version in stack and stack[-1] != version:
        stack.pop()
    if version and version not in stack:
        stack.append(version)


def _promote(name: str, version: str, reason: str, by: str, action: str, forced: bool) -> Event | None:
    with readable(WHAT):
        client = mlflow_client()
        model = registered_model(client, name)
        chosen = chosen_version(client, model, version)
        number = str(chosen.version)  # SQLite answers with an integer, servers with text
        if number == alias_of(model, CHAMPION):
            return None
        if chosen.tags.get(DECISION_TAG) == "reject" and not forced:
            raise FaceForgeError(
                f"{name} version {number} was rejected by its evaluation; to promote it all the same, use "
                "force and give a reason"
            )
        approved = action == "approve" or chosen.tags.get(APPROVAL_TAG, WAITING) != WAITING
        if _is_required(model) and not approved and not forced:
            raise FaceForgeError(
                f"{name} version {number} waits for approval: faceforge registry approve {number}; to promote it "
                "without, use force and give a reason"
            )
        if error := _unreadable(name, number):
            raise FaceForgeError(f"{name} version {number} cannot be promoted: {error}")
        if action == "approve":
            client.set_model_version_tag(name, number, APPROVAL_TAG, f"approved by {by or _user()}")
        return _move(client, model, action, number, alias_of(model, CHAMPION), reason, by)


def _move(
    client: MlflowClient, model: RegisteredModel, action: str, version: str, previous: str, reason: str, by: str
) -> Event:
    """Sets the aliases and writes it down. Every part may be repeated after an interruption."""
    now = _now()
    event = Event(now, action, version, alias_of(model, CHAMPION), by or _user(), reason[:500])
    client.set_registered_model_tag(model.name, f"{EVENT_TAG}{now.replace('+00:00', 'Z')}", json.dumps(asdict(event)))
    for key in ("at", "by", "reason"):
        client.set_model_version_tag(model.name, version, f"{PROMOTED_TAG}{key}", getattr(event, key) or "-")
    if previous:
        client.set_registered_model_alias(model.name, PREVIOUS, previous)
    elif alias_of(model, PREVIOUS):
        client.delete_registered_model_alias(model.name, PREVIOUS)
    client.set_registered_model_alias(model.name, CHAMPION, version)
    return event


def _events(model: RegisteredModel) -> list[Event]:
    return [Event(**json.loads(model.tags[key])) for key in sorted(model.tags) if key.startswith(EVENT_TAG)]


def _is_required(model: RegisteredModel) -> bool:
    return str(model.tags.get(APPROVAL_TAG, "")).startswith(_REQUIRED)


def _unreadable(name: str, version: str) -> str:
    """Why a version's bundle cannot be used; empty = it can."""
    from tempfile import TemporaryDirectory

    try:
        with TemporaryDirectory() as folder:
            download_bundle(f"models:/{name}/{version}", Path(folder))
    except FaceForgeError as error:
        return str(error)
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's arbitrary user id has no name
        return f"uid {os.getuid()}"
