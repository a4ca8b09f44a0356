"""`faceforge schedule {check,plan,apply,set,list,pause,resume,delete,run-now}`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import OneLineErrorsGroup, package_option, print_line, run_options, server_options

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.definition.parameters import RunParameters
    from pipelines.schedules.apply import Change

_SIGNS = {"create": "+", "change": "~", "tidy": "~", "keep": "=", "delete": "-", "ignore": " "}
_WORDS = {"tidy": "surplus recurring runs deleted", "keep": "unchanged", "ignore": "left alone"}


@click.group(cls=OneLineErrorsGroup)
def schedule() -> None:
    """Start pipeline runs by schedule on a Kubeflow Pipelines server; a file lists the schedules.

    \b
    Examples:
      faceforge schedule check
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
    help="File that lists the schedules.",
)
_prune = click.option("--prune", is_flag=True, help="Delete schedules that the file does not list.")


@schedule.command()
@_file
def check(path: Path) -> None:
    """Check the file without a server: every field, parameter and package; prints when each schedule runs next."""
    from pipelines.schedules.file import read_schedules

    for entry in read_schedules(path):
        upcoming = entry.cron.upcoming(entry.time_zone, datetime.now(UTC))
        state = f"next {upcoming:%Y-%m-%d %H:%M} {entry.time_zone}" if entry.enabled else "disabled"
        print_line(f"{entry.name:<24} {state:<36} {entry.parameters.title}")


@schedule.command()
@_file
@_prune
@server_options
def plan(path: Path, prune: bool, server: Server) -> None:
    """Show what apply would change, without changing anything."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import read_schedules

    listed = read_schedules(path)
    for change in schedules.plan(connect(server), server, listed, prune):
        _print_change(change)


@schedule.command()
@_file
@_prune
@server_options
def apply(path: Path, prune: bool, server: Server) -> None:
    """Make the server's schedules match the file; applying the same file again changes nothing."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import read_schedules

    listed = read_schedules(path)
    for change in schedules.apply(connect(server), server, listed, prune):
        _print_change(change)


@schedule.command("set")
@click.option("--cron", required=True, help="Five fields: minute hour day-of-month month day-of-week.")
@click.option("--name", default="retrain", show_default=True, help="Name of the schedule.")
@click.option("--time-zone", help="Time zone of --cron; must be the scheduler's, which is the default.")
@click.option("--scheduler-time-zone", default="UTC", show_default=True, help="Time zone of Kubeflow's scheduler.")
@package_option
@run_options
@server_options
def set_(
    cron: str,
    name: str,
    time_zone: str | None,
    scheduler_time_zone: str,
    package: Path | None,
    parameters: RunParameters,
    server: Server,
) -> None:
    """Set one schedule without a file, for regular retraining."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules import apply as schedules
    from pipelines.schedules.file import make_schedule

    wanted = make_schedule(
        None,
        scheduler_time_zone,
        name=name,
        cron=cron,
        time_zone=time_zone,
        package=str(package or ""),
        parameters=parameters.model_dump(),
    )
    for change in schedules.apply(connect(server), server, [wanted]):
        if change.name == name:
            _print_change(change)


@schedule.command("list")
@server_options
def list_(server: Server) -> None:
    """List the schedules on the server with the time of the next run."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules.cron import read_cron
    from pipelines.schedules.recurring_runs import find_recurring_runs

    by_name = find_recurring_runs(connect(server))
    if not by_name:
        print_line("no schedules; create those of a file with: faceforge schedule apply")
    for name, runs in sorted(by_name.items()):
        current = runs[-1]
        zone = current.metadata.get("time_zone", "UTC")
        cron = read_cron(current.cron)
        state = "active" if current.active else "paused"
        upcoming = cron.upcoming(zone, datetime.now(UTC))
        next_run = f"next {upcoming:%Y-%m-%d %H:%M}" if current.active else ""
        print_line(f"{name:<24} {state:<7} {cron.five:<16} {zone:<16} {next_run}".rstrip())
        if len(runs) > 1:
            print_line(f"  {len(runs) - 1} surplus, left by an interrupted change: run faceforge schedule apply")


@schedule.command()
@click.argument("name")
@server_options
def pause(name: str, server: Server) -> None:
    """Pause a schedule until it is resumed; apply does not resume it."""
    _switch(name, server, active=False)


@schedule.command()
@click.argument("name")
@server_options
def resume(name: str, server: Server) -> None:
    """Resume a paused schedule; runs that were due while it was paused are skipped."""
    _switch(name, server, active=True)


@schedule.command()
@click.argument("name")
@server_options
def delete(name: str, server: Server) -> None:
    """Delete a schedule; runs that it has started continue."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules.apply import delete as delete_schedule

    delete_schedule(connect(server), server, name)
    print_line(f"{name}: deleted")


@schedule.command("run-now")
@click.argument("name")
@server_options
def run_now(name: str, server: Server) -> None:
    """Start a run of a schedule now, even if it is paused."""
    from pipelines.cluster.connection import connect
    from pipelines.schedules.apply import run_now as start

    run_id = start(connect(server), server, name)
    print_line(f"{name}: started run {run_id}\n{server.page('runs', run_id)}")


def _switch(name: str, server: Server, *, active: bool) -> None:
    from pipelines.cluster.connection import connect
    from pipelines.schedules.apply import switch

    done, already = ("resumed", "is already active") if active else ("paused", "is already paused")
    print_line(f"{name}: {done if switch(connect(server), server, name, active=active) else already}")


def _print_change(change: Change) -> None:
    reasons = f" ({'; '.join(change.reasons)})" if change.reasons else ""
    print_line(f"{_SIGNS[change.action]} {change.name}: {_WORDS.get(change.action, change.action)}{reasons}")
