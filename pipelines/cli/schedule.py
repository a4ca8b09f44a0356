"""`faceforge schedule {plan,apply,set,list,pause,resume,delete,run-now}`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pipelines.cli.options import OneLineErrors, package_option, run_options, say, server_options

Command = Callable[..., Any]
_SIGNS = {"create": "+", "change": "~", "tidy": "~", "keep": "=", "delete": "-", "ignore": " "}
_WORDS = {"tidy": "older copies go", "keep": "unchanged", "ignore": "left alone"}


@click.group(cls=OneLineErrors)
def schedule() -> None:
    """What runs by the clock, listed in a file and put on a Kubeflow Pipelines server.

    \b
    Examples:
      faceforge schedule plan
      faceforge schedule apply --namespace faces
      faceforge schedule set --cron "0 3 * * 0" --source s3://faces/all.parquet --preset faces64
      faceforge schedule pause weekly
    """


_file = click.option(
    "--file",
    "path",
    default=Path("k8s/schedules.yaml"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The list of schedules.",
)
_prune = click.option("--prune", is_flag=True, help="Delete schedules that the file does not list.")


@schedule.command()
@_file
@_prune
@server_options
def plan(path: Path, prune: bool, **server: str) -> None:
    """Show what apply would change; changes nothing."""
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import read_schedules

    wanted = read_schedules(path)
    client, where = _connect(server)
    for change in schedules.plan(client, where, wanted, prune):
        _tell(change)
    _tell_clocks(wanted)


@schedule.command()
@_file
@_prune
@server_options
def apply(path: Path, prune: bool, **server: str) -> None:
    """Make the server's schedules those of the file; the same again changes nothing."""
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import read_schedules

    wanted = read_schedules(path)
    client, where = _connect(server)
    for change in schedules.apply(client, where, wanted, prune):
        _tell(change)
    _tell_clocks(wanted)


@schedule.command("set")
@click.option("--cron", required=True, help="Five fields: minute hour day-of-month month day-of-week.")
@click.option("--name", default="retrain", show_default=True, help="Of the schedule.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose clocks the cron is meant by.")
@click.option("--scheduler-time-zone", default="UTC", show_default=True, help="Of the installation's scheduler.")
@package_option
@run_options
@server_options
def set_(
    cron: str,
    name: str,
    time_zone: str,
    scheduler_time_zone: str,
    package: Path | None,
    settings: tuple[str, ...],
    endpoint: str,
    namespace: str,
    service_account: str,
    **values: str,
) -> None:
    """Set one schedule without a file: train anew by the clock."""
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import make_schedule

    wanted = make_schedule(
        None,
        scheduler_time_zone,
        name=name,
        cron=cron,
        time_zone=time_zone,
        package=str(package or ""),
        parameters={**values, "settings": ", ".join(filter(None, settings))},
    )
    client, where = _connect({"endpoint": endpoint, "namespace": namespace, "service_account": service_account})
    for change in schedules.apply(client, where, [wanted]):
        if change.name == name:
            _tell(change)
    _tell_clocks([wanted])


@schedule.command("list")
@server_options
def list_(**server: str) -> None:
    """The schedules on the server, and when each comes next."""
    from pipelines.schedules.cron import read_cron
    from pipelines.schedules.recurring_runs import find_copies

    client, where = _connect(server)
    there = find_copies(client, where)
    if not there:
        say("no schedules; put those of a file there with: faceforge schedule apply")
    for name, copies in sorted(there.items()):
        live = copies[-1]
        zone = live.mark.get("time_zone", "UTC")
        cron = live.mark.get("cron", live.cron)
        state = "active" if live.active else "paused"
        upcoming = read_cron(cron).upcoming(zone, datetime.now(UTC))[0]
        soon = f"next {upcoming:%Y-%m-%d %H:%M}" if live.active else ""
        say(f"{name:<24} {state:<7} {cron:<16} {zone:<16} {soon}".rstrip())
        if len(copies) > 1:
            say(f"  {len(copies) - 1} too many, left by a cut: run faceforge schedule apply")


@schedule.command()
@click.argument("name")
@server_options
def pause(name: str, **server: str) -> None:
    """Silence a schedule until it is resumed; apply leaves it so."""
    from pipelines.schedules import apply as schedules

    say(f"{name}: {'paused' if schedules.switch(*_connect(server), name, active=False) else 'is paused already'}")


@schedule.command()
@click.argument("name")
@server_options
def resume(name: str, **server: str) -> None:
    """Let a paused schedule run again; what it has missed is not made up for."""
    from pipelines.schedules import apply as schedules

    say(f"{name}: {'resumed' if schedules.switch(*_connect(server), name, active=True) else 'is active already'}")


@schedule.command()
@click.argument("name")
@server_options
def delete(name: str, **server: str) -> None:
    """Delete a schedule; runs that it has started go on."""
    from pipelines.schedules import apply as schedules

    schedules.delete(*_connect(server), name)
    say(f"{name}: deleted")


@schedule.command("run-now")
@click.argument("name")
@server_options
def run_now(name: str, **server: str) -> None:
    """Start what a schedule would start, now."""
    from pipelines.schedules import apply as schedules

    client, where = _connect(server)
    run_id = schedules.run_now(client, where, name)
    say(f"{name}: started run {run_id}\n{where.page('runs', run_id)}")


def _connect(values: dict[str, str]) -> tuple[Any, Any]:
    from pipelines.cluster.server import Server, connect

    server = Server(**values)
    return connect(server), server


def _tell(change: Any) -> None:
    reasons = f" ({'; '.join(change.reasons)})" if change.reasons else ""
    say(f"{_SIGNS[change.action]} {change.name}: {_WORDS.get(change.action, change.action)}{reasons}")


def _tell_clocks(wanted: list[Any]) -> None:
    """A cron shifted into the scheduler's zone holds until clocks change."""
    from pipelines.schedules.cron import clock_change

    for one in wanted:
        if then := clock_change(one.time_zone, one.scheduler_zone, datetime.now(UTC)):
            say(
                f"  {one.name}: clocks change about {then:%Y-%m-%d} between {one.time_zone} and the scheduler's "
                f"{one.scheduler_zone}; apply again then"
            )
