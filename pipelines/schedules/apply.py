"""Making the recurring runs of a Kubeflow Pipelines server match a list of schedules.

The API cannot change a recurring run, so a changed schedule becomes a new recurring run and the old one is deleted
afterwards. Of several recurring runs of one schedule, the newest always stays. So an interrupted or concurrent `apply`
never leaves a schedule without a recurring run, and the next `apply` leaves exactly one; until then every command
reports the surplus ones.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import api_errors, with_retries
from pipelines.cluster.server import Server
from pipelines.cluster.upload import get_or_create_experiment, package_digest, upload
from pipelines.schedules.file import Schedule
from pipelines.schedules.recurring_runs import RecurringRun, describe, find_recurring_runs, remove

if TYPE_CHECKING:
    from kfp import Client


@dataclass(frozen=True)
class Change:
    """What `apply` does to one schedule.

    Attributes:
        name: name of the schedule.
        action: `create`, `change`, `tidy` (delete surplus recurring runs), `keep`, `delete` or `ignore` (not listed).
        reasons: what differs.
    """

    name: str
    action: str
    reasons: tuple[str, ...] = ()


def plan(client: Client, server: Server, schedules: list[Schedule], prune: bool = False) -> list[Change]:
    """What `apply` would do; changes nothing."""
    existing = find_recurring_runs(client)
    changes = [_compare(schedule, existing.get(schedule.name, []), server) for schedule in schedules]
    unlisted = sorted(set(existing) - {schedule.name for schedule in schedules})
    return changes + [Change(name, "delete" if prune else "ignore", ("not in the file",)) for name in unlisted]


def apply(client: Client, server: Server, schedules: list[Schedule], prune: bool = False) -> Iterator[Change]:
    """Creates, replaces and deletes recurring runs until they match the schedules; safe to repeat.

    A schedule that somebody has paused stays paused. Schedules that are not listed are kept unless `prune` is set.

    Yields:
        each change, once it is made.

    Raises:
        FaceForgeError: the server failed or refused; calling again completes the changes.
    """
    for schedule in schedules:
        _description(schedule, server)  # refused before anything is changed if it is too long
    for schedule in schedules:
        yield _apply_one(client, server, schedule)
    for change in plan(client, server, schedules, prune)[len(schedules) :]:
        if change.action == "delete":
            delete(client, server, change.name)
        yield change


def current_run(client: Client, server: Server, name: str) -> RecurringRun:
    """The newest recurring run of a schedule; older ones, left by an interrupted change, are deleted.

    Raises:
        FaceForgeError: the server has no such schedule.
    """
    runs = find_recurring_runs(client, name).get(name, [])
    if not runs:
        known = ", ".join(sorted(find_recurring_runs(client))) or "none"
        raise FaceForgeError(f"schedule {name!r} does not exist on the server; existing schedules: {known}")
    remove(client, runs[:-1])
    return runs[-1]


def switch(client: Client, server: Server, name: str, active: bool) -> bool:
    """Pauses or resumes a schedule; returns False if nothing had to change.

    Kubeflow would start a run at once for a time that passed while a recurring run was disabled, so a schedule is
    resumed by replacing its recurring run with a new one.
    """
    recurring = current_run(client, server, name)
    if recurring.active == active:
        return False
    if not active:
        with_retries(f"schedule {name!r}", lambda: client.disable_recurring_run(recurring.recurring_id))
        return True
    with _signals_blocked():
        _create(client, recurring, enabled=True)
        remove(client, [recurring])
    return True


def delete(client: Client, server: Server, name: str) -> None:
    """Deletes a schedule."""
    current_run(client, server, name)
    remove(client, find_recurring_runs(client, name).get(name, []))


def run_now(client: Client, server: Server, name: str) -> str:
    """Starts a run of a schedule now, even if it is paused; returns the run's id."""
    recurring = current_run(client, server, name)
    with api_errors(f"schedule {name!r}"):
        run = client.run_pipeline(
            recurring.experiment_id,
            f"{name} {datetime.now(UTC):%Y%m%d-%H%M%S}",
            params=recurring.parameters,
            pipeline_id=recurring.pipeline_id,
            version_id=recurring.version_id,
            service_account=recurring.metadata.get("account") or None,
        )
    return str(run.run_id)


def _apply_one(client: Client, server: Server, schedule: Schedule) -> Change:
    existing = find_recurring_runs(client, schedule.name).get(schedule.name, [])
    change = _compare(schedule, existing, server)
    if change.action in ("keep", "tidy"):
        remove(client, existing[:-1])
        return change
    version = upload(client, schedule.package)
    wanted = RecurringRun(
        name=schedule.name,
        recurring_id="",
        active=False,
        cron=schedule.cron.six,
        parameters=schedule.parameters.model_dump(),
        experiment_id=get_or_create_experiment(client, schedule.parameters.experiment),
        pipeline_id=version.pipeline_id,
        version_id=version.version_id,
        service_account=server.service_account,
        description=_description(schedule, server),
        metadata=_metadata(schedule, server),
        order=("", 0, ""),
    )
    paused = bool(existing) and existing[-1].paused
    with _signals_blocked():
        created_id = _create(client, wanted, enabled=schedule.enabled and not paused)
        # Listed again: another client may have created one meanwhile, and all clients must keep the same one.
        existing = find_recurring_runs(client, schedule.name)[schedule.name]
        remove(client, existing[:-1])
    newest = existing[-1]
    if newest.recurring_id != created_id and newest.metadata["digest"] != _digest(schedule, server):
        raise FaceForgeError(
            f"schedule {schedule.name!r} was changed by another client at the same time; check with plan, apply again"
        )
    return change


def _create(client: Client, recurring: RecurringRun, *, enabled: bool) -> str:
    """Creates a recurring run like `recurring`; returns its id."""
    with api_errors(f"schedule {recurring.name!r}"):
        created = client.create_recurring_run(
            recurring.experiment_id,
            recurring.name,
            description=recurring.description,
            cron_expression=recurring.cron,
            max_concurrency=1,
            no_catchup=True,
            params=recurring.parameters,
            pipeline_id=recurring.pipeline_id,
            version_id=recurring.version_id,
            enabled=enabled,
            service_account=recurring.service_account or None,
        )
    if not created.recurring_run_id:
        raise FaceForgeError(f"schedule {recurring.name!r}: the server's response contains no id of a recurring run")
    return str(created.recurring_run_id)


def _compare(schedule: Schedule, existing: list[RecurringRun], server: Server) -> Change:
    if not existing:
        return Change(schedule.name, "create", (f"cron {schedule.cron.five} {schedule.time_zone}",))
    newest = existing[-1]
    notes = [f"{len(existing) - 1} surplus, left by an interrupted change"] if len(existing) > 1 else []
    if newest.metadata.get("digest") != _digest(schedule, server):
        return Change(schedule.name, "change", (*_differences(schedule, newest, server), *notes))
    if newest.paused:
        notes.append("paused by hand")
    return Change(schedule.name, "tidy" if len(existing) > 1 else "keep", tuple(notes))


def _differences(schedule: Schedule, current: RecurringRun, server: Server) -> Iterator[str]:
    if schedule.cron.six != current.cron:
        yield f"cron {current.cron} -> {schedule.cron.six} ({schedule.time_zone})"
    parameters = schedule.parameters.model_dump()
    for name in sorted({*parameters, *current.parameters}):
        before, after = current.parameters.get(name), parameters.get(name)
        if before != after:
            yield f"{name} {before or 'unset'} -> {after or 'unset'}"
    if current.metadata.get("package") != package_digest(schedule.package)[:8]:
        yield f"pipeline {current.metadata.get('package')} -> {package_digest(schedule.package)[:8]}"
    if current.metadata.get("enabled") != schedule.enabled:
        yield "enabled" if schedule.enabled else "disabled"
    before = current.metadata.get("account", server.service_account)
    if before != server.service_account:
        yield f"service account {before or 'default'} -> {server.service_account or 'default'}"


def _digest(schedule: Schedule, server: Server) -> str:
    return schedule.digest(server.service_account)


def _metadata(schedule: Schedule, server: Server) -> dict[str, Any]:
    return {
        "digest": _digest(schedule, server),
        "package": package_digest(schedule.package)[:8],
        "enabled": schedule.enabled,
        "time_zone": schedule.time_zone,
        "account": server.service_account,
    }


def _description(schedule: Schedule, server: Server) -> str:
    return describe(schedule.name, schedule.description, _metadata(schedule, server))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM until the block has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
