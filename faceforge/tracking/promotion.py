"""Promotion, approval and rollback of model versions, with a history.

Every move of the champion is an entry in the registered model's history: action, time, user, reason. Rollback reads
these entries; where an alias was moved by other means, the alias wins.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
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
_SEPARATOR = " · "


@dataclass(frozen=True)
class Event:
    """One move of the champion."""

    at: str  # ISO 8601, UTC
    action: str  # promote | approve | rollback
    version: str  # the champion after it
    before: str  # the champion before it; "" = none
    by: str
    reason: str


def promote(name: str, version: str, reason: str = "", *, force: bool = False, by: str = "") -> Event | None:
    """Makes a version the champion; the former champion becomes `previous`.

    Args:
        name: registered model.
        version: number or alias.
        reason: kept in the history.
        force: allow a version that was rejected or not approved; needs a reason.
        by: name for the history; empty: the user of this process.

    Returns:
        The entry in the history; None if the version is the champion already.

    Raises:
        FaceForgeError: no such version, an unreadable bundle, a rejected version, or one that waits for approval.
    """
    return _promote(name, version, reason, by, "promote", forced=force and bool(reason))


def approve(name: str, version: str, reason: str = "", *, by: str = "") -> Event | None:
    """Approves a version, as `require_approval` demands, and promotes it; otherwise as `promote`."""
    return _promote(name, version, reason, by, "approve", forced=False)


def rollback(name: str, reason: str = "", *, by: str = "") -> Event:
    """Undoes the last promotion that is not undone yet: `champion` and `previous` get their earlier versions back.

    Raises:
        FaceForgeError: there is no earlier champion, or it cannot be read.
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
        model = registered_model(client, name)  # others may have moved it while the bundle was read
        if (moved := alias_of(model, CHAMPION)) != champion:
            raise FaceForgeError(
                f"{name} has got another champion meanwhile, version {moved}; roll back again to undo it"
            )
        return _move(client, model, "rollback", target, older[0], reason, by)


def require_approval(name: str, required: bool = True, *, by: str = "") -> None:
    """Sets whether a person must approve a version before it becomes champion; pipelines then do not promote.

    Args:
        name: registered model; created if missing, so that the rule can precede the first run.
        required: False: approval is not required.
        by: name for the record; empty: the user of this process.
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
    """Whether a person must approve a version before it becomes champion.

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
    """The sequence of champions that repeated rollbacks go back through, the present one last.

    Args:
        events: the history. Interrupted moves, and moves without an entry, show in the `before` of the next entry.
        champion: version that the alias points at now; empty = none.
    """
    stack: list[str] = []
    after = [event.before for event in events[1:]] + [champion] * bool(events)
    for event, champion_then in zip(events, after, strict=True):
        if champion_then == event.before != event.version:
            continue  # recorded, but interrupted before the alias moved
        _agree(stack, event.before)
        if event.action == "rollback":
            del stack[-1:]
        elif stack[-1:] != [event.version]:
            stack.append(event.version)
        _agree(stack, event.version)
    _agree(stack, champion)
    return stack


def _agree(stack: list[str], version: str) -> None:
    """Makes `version` the top of the stack: drops what is above it, or pushes it if it is new."""
    while version in stack and stack[-1] != version:
        stack.pop()
    if version and version not in stack:
        stack.append(version)


def _promote(name: str, version: str, reason: str, by: str, action: str, forced: bool) -> Event | None:
    with readable(WHAT):
        client = mlflow_client()
        model = registered_model(client, name)
        chosen = chosen_version(client, model, version)
        number = str(chosen.version)  # an integer from SQLite, text from servers
        if number == alias_of(model, CHAMPION):
            return None
        if chosen.tags.get(DECISION_TAG) == "reject" and not forced:
            raise FaceForgeError(
                f"{name} version {number} was rejected by its evaluation; to promote it anyway, use "
                "force and give a reason"
            )
        approved = action == "approve" or chosen.tags.get(APPROVAL_TAG, WAITING) != WAITING
        if _is_required(model) and not approved and not forced:
            raise FaceForgeError(
                f"{name} version {number} waits for approval: faceforge registry approve {number}; to promote it "
                "without approval, use force and give a reason"
            )
        if error := _unreadable(name, number):
            raise FaceForgeError(f"{name} version {number} cannot be promoted: {error}")
        if action == "approve":
            client.set_model_version_tag(name, number, APPROVAL_TAG, f"approved by {by or _user()}")
        model = registered_model(client, name)  # others may have moved it while the bundle was read
        if number == alias_of(model, CHAMPION):
            return None
        return _move(client, model, action, number, alias_of(model, CHAMPION), reason, by)


def _move(
    client: MlflowClient, model: RegisteredModel, action: str, version: str, previous: str, reason: str, by: str
) -> Event:
    """Records the move, then sets the aliases. Every part may be repeated after an interruption."""
    now = _now()
    event = Event(now, action, version, alias_of(model, CHAMPION), by or _user(), reason[:500])
    client.set_registered_model_tag(model.name, f"{EVENT_TAG}{now.replace('+00:00', 'Z')}", _as_text(event))
    for key in ("at", "by", "reason"):
        client.set_model_version_tag(model.name, version, f"{PROMOTED_TAG}{key}", getattr(event, key) or "-")
    if previous:
        client.set_registered_model_alias(model.name, PREVIOUS, previous)
    elif alias_of(model, PREVIOUS):
        client.delete_registered_model_alias(model.name, PREVIOUS)
    client.set_registered_model_alias(model.name, CHAMPION, version)
    return event


def _events(model: RegisteredModel) -> list[Event]:
    times = (key.removeprefix(EVENT_TAG) for key in sorted(model.tags) if key.startswith(EVENT_TAG))
    return [_from_text(time, model.tags[f"{EVENT_TAG}{time}"]) for time in times]


def _as_text(event: Event) -> str:
    """What MLflow's page of the model shows: `promote 2 · after 1 · anna · sharper glasses`."""
    by, reason = (text.replace(_SEPARATOR, " - ") for text in (event.by, event.reason))
    return _SEPARATOR.join([f"{event.action} {event.version}", f"after {event.before or 'none'}", by, reason])


def _from_text(time: str, text: str) -> Event:
    """The event of a tag; older versions wrote JSON."""
    if text.startswith("{"):
        return Event(**json.loads(text))
    what, before, by, reason = text.split(_SEPARATOR, 3)
    action, _, version = what.partition(" ")
    before = before.removeprefix("after ")
    return Event(time.replace("Z", "+00:00"), action, version, "" if before == "none" else before, by, reason)


def _is_required(model: RegisteredModel) -> bool:
    return str(model.tags.get(APPROVAL_TAG, "")).startswith(_REQUIRED)


def _unreadable(name: str, version: str) -> str:
    """Why a version's bundle cannot be used; empty = it is usable."""
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
    except (KeyError, OSError):  # an arbitrary user id in a container has no name
        return f"uid {os.getuid()}"
