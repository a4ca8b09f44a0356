"""Making the recurring runs of a Kubeflow Pipelines server those that are wanted.

The API cannot change a recurring run, so a changed schedule is a new copy, and the older one is deleted. Nothing is
ever taken away before its successor is there, and of several copies the newest always stays: whoever is cut off, and
however many apply at once, there is never none, and the next `apply` leaves exactly one. A copy too many, should it
stay after a cut, is reported by every command until then.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from pipelines.cluster.server import Server, patiently, readable
from pipelines.cluster.upload import experiment, package_digest, upload
from pipelines.schedules.file import Schedule
from pipelines.schedules.recurring_runs import Copy, find_copies, marked, remove

if TYPE_CHECKING:
    from kfp import Client


@dataclass(frozen=True)
class Change:
    """What `apply` would do, or has done, about one schedule.

    Attributes:
        name: of the schedule.
        action: `create`, `change`, `tidy` (a copy too many), `keep`, `delete` or `ignore` (not in the file).
        reasons: what differs, in words.
    """

    name: str
    action: str
    reasons: tuple[str, ...] = ()


def plan(client: Client, server: Server, wanted: list[Schedule], prune: bool = False) -> list[Change]:
    """What `apply` would do; changes nothing."""
    there = find_copies(client, server)
    changes = [_compare(schedule, there.get(schedule.name, []), server) for schedule in wanted]
    left = sorted(set(there) - {schedule.name for schedule in wanted})
    return changes + [Change(name, "delete" if prune else "ignore", ("not in the file",)) for name in left]


def apply(client: Client, server: Server, wanted: list[Schedule], prune: bool = False) -> Iterator[Change]:
    """Makes the server's recurring runs those of the schedules, one after the other; safe to repeat.

    A schedule that somebody has paused stays paused. Those of other files are left alone unless `prune` is set.

    Yields:
        each change, when it is done.

    Raises:
        FaceForgeError: the server does not do it; what was done before stays, and the same again completes it.
    """
    for schedule in wanted:
        yield _apply_one(client, server, schedule)
    for change in plan(client, server, wanted, prune)[len(wanted) :]:
        if change.action == "delete":
            delete(client, server, change.name)
        yield change


def settled(client: Client, server: Server, name: str) -> Copy:
    """The one copy of a schedule; older ones, left by a cut, are deleted.

    Raises:
        FaceForgeError: there is no such schedule.
    """
    copies = find_copies(client, server, name).get(name, [])
    if not copies:
        known = ", ".join(sorted(find_copies(client, server))) or "none"
        raise FaceForgeError(f"schedule {name!r} does not exist on the server; there: {known}")
    remove(client, copies[:-1])
    return copies[-1]


def switch(client: Client, server: Server, name: str, active: bool) -> bool:
    """Pauses or resumes a schedule; False: it was so already."""
    copy = settled(client, server, name)
    if copy.active == active:
        return False
    call = client.enable_recurring_run if active else client.disable_recurring_run
    patiently(f"schedule {name!r}", lambda: call(copy.recurring_id))
    return True


def delete(client: Client, server: Server, name: str) -> None:
    """Deletes a schedule; runs that it has started go on."""
    settled(client, server, name)
    remove(client, find_copies(client, server, name).get(name, []))


def run_now(client: Client, server: Server, name: str) -> str:
    """Starts what a schedule would start, now, paused or not; returns the id of the run."""
    copy = settled(client, server, name)
    with readable(f"schedule {name!r}"):
        run = client.run_pipeline(
            copy.experiment_id,
            f"{name} {datetime.now(UTC):%Y%m%d-%H%M%S}",
            params=copy.parameters,
            pipeline_id=copy.pipeline_id,
            version_id=copy.version_id,
            service_account=copy.service_account or None,
        )
    return str(run.run_id)


def cron_there(schedule: Schedule, now: datetime | None = None) -> str:
    """The cron expression that the scheduler is given: six fields, in its own zone."""
    try:
        return schedule.cron.in_zone(schedule.time_zone, schedule.scheduler_zone, now or datetime.now(UTC)).six
    except FaceForgeError as error:
        raise FaceForgeError(f"schedule {schedule.name!r}: {error}") from None


def _apply_one(client: Client, server: Server, schedule: Schedule) -> Change:
    copies = find_copies(client, server, schedule.name).get(schedule.name, [])
    change = _compare(schedule, copies, server)
    if change.action in ("keep", "tidy"):
        remove(client, copies[:-1])
        return change
    version = upload(client, schedule.package, server)
    where = experiment(client, schedule.parameters.experiment, server)
    paused = bool(copies) and copies[-1].paused
    cron = cron_there(schedule)
    with _uninterrupted():
        with readable(f"schedule {schedule.name!r}"):
            made = client.create_recurring_run(
                where,
                schedule.name,
                description=_description(schedule, cron, server),
                cron_expression=cron,
                max_concurrency=1,
                no_catchup=True,
                params=schedule.parameters.model_dump(),
                pipeline_id=version.pipeline_id,
                version_id=version.version_id,
                enabled=schedule.enabled and not paused,
                service_account=server.service_account or None,
            )
        # Asked again: somebody else may have made a copy meanwhile, and all must agree on which one stays.
        copies = find_copies(client, server, schedule.name)[schedule.name]
        remove(client, copies[:-1])
    stays = copies[-1]
    if stays.recurring_id != made.recurring_run_id and stays.mark["digest"] != _digest(schedule, server):
        raise FaceForgeError(
            f"schedule {schedule.name!r} was set to something else at the same time; see plan, run again"
        )
    return change


def _compare(schedule: Schedule, copies: list[Copy], server: Server) -> Change:
    if not copies:
        return Change(schedule.name, "create", (f"cron {schedule.cron.five} {schedule.time_zone}",))
    live = copies[-1]
    notes = (
        [f"{len(copies) - 1} older {'copy' if len(copies) == 2 else 'copies'} left by a cut"] if len(copies) > 1 else []
    )
    if live.mark.get("digest") != _digest(schedule, server):
        return Change(schedule.name, "change", (*_differences(schedule, live, server), *notes))
    if live.paused:
        notes.append("paused by hand")
    return Change(schedule.name, "tidy" if len(copies) > 1 else "keep", tuple(notes))


def _differences(schedule: Schedule, live: Copy, server: Server) -> Iterator[str]:
    cron = cron_there(schedule)
    if cron != live.cron:
        yield f"cron {live.cron} -> {cron} ({schedule.scheduler_zone})"
    now = schedule.parameters.model_dump()
    for name in sorted({*now, *live.parameters}):
        before, after = live.parameters.get(name), now.get(name)
        if before != after:
            yield f"{name} {before or 'unset'} -> {after or 'unset'}"
    if live.mark.get("package") != package_digest(schedule.package)[:8]:
        yield f"pipeline {live.mark.get('package')} -> {package_digest(schedule.package)[:8]}"
    if live.mark.get("enabled") != schedule.enabled:
        yield "enabled" if schedule.enabled else "disabled"
    if live.service_account != server.service_account:
        yield f"service account {live.service_account or 'default'} -> {server.service_account or 'default'}"


def _digest(schedule: Schedule, server: Server) -> str:
    return schedule.digest(cron_there(schedule), server.service_account)


def _description(schedule: Schedule, cron: str, server: Server) -> str:
    mark = {
        "digest": schedule.digest(cron, server.service_account),
        "package": package_digest(schedule.package)[:8],
        "enabled": schedule.enabled,
        "cron": schedule.cron.five,
        "time_zone": schedule.time_zone,
    }
    return marked(schedule.description, mark)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the body is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
