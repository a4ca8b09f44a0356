"""`faceforge registry ...`: thin views of `faceforge.tracking.registry`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from faceforge.errors import FaceForgeError


class UserError(click.ClickException):
    """A `FaceForgeError` on the command line: one line, no traceback."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Prints the line."""
        click.echo(f"error: {self.message}", err=True)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--name", default="faceforge", show_default=True, help="Registered model.")(command)
    return click.option(
        "--tracking-uri", default="", help="MLflow; default: $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."
    )(command)


@contextmanager
def _connected(tracking_uri: str) -> Iterator[None]:
    from faceforge.tracking.connection import connect

    try:
        connect(tracking_uri, create=False)
        yield
    except FaceForgeError as error:
        raise UserError(str(error)) from error


@click.group()
def registry() -> None:
    """Model versions: list them, put one in use, take it back.

    \b
    Examples:
      faceforge registry list
      faceforge registry promote 3 --reason "sharper glasses"
      faceforge registry rollback --reason "blurred on dark images"
      faceforge registry history
    """


@registry.command("list")
@_options
def list_command(name: str, tracking_uri: str) -> None:
    """All versions, newest first.

    \b
    Example:
      faceforge registry list --tracking-uri http://localhost:5000
    """
    from faceforge.tracking.registry import list_versions

    with _connected(tracking_uri):
        rows = [
            (item.version, ",".join(item.aliases) or "-", item.decision or "-", item.created, item.run_id[:8] or "-")
            for item in list_versions(name)
        ]
    _table(("version", "aliases", "decision", "created", "run"), rows)


@registry.command("history")
@_options
def history_command(name: str, tracking_uri: str) -> None:
    """Every change of the champion, oldest first.

    \b
    Example:
      faceforge registry history --name faceforge
    """
    from faceforge.tracking.registry import history

    with _connected(tracking_uri):
        rows = [
            (
                event.at[:19] + "Z",
                event.action,
                f"{event.before or '-'} -> {event.version}",
                event.by,
                event.reason or "-",
            )
            for event in history(name)
        ]
    _table(("when", "action", "champion", "by", "reason"), rows)


@registry.command("promote")
@click.argument("version")
@click.option("--reason", default="", help="Kept in the history.")
@click.option("--force", is_flag=True, help="Also a version that its evaluation rejected; needs --reason.")
@_options
def promote_command(version: str, reason: str, force: bool, name: str, tracking_uri: str) -> None:
    """Make VERSION (a number, or an alias such as challenger) the champion.

    \b
    Examples:
      faceforge registry promote 3 --reason "sharper glasses"
      faceforge registry promote challenger
    """
    from faceforge.tracking.registry import promote

    with _connected(tracking_uri):
        event = promote(name, version, reason, force=force)
    click.echo(
        f"{name}: version {version} is the champion already"
        if event is None
        else f"{name}: champion is now version {event.version} (was {event.before or 'none'})"
    )


@registry.command("rollback")
@click.option("--reason", default="", help="Kept in the history.")
@_options
def rollback_command(reason: str, name: str, tracking_uri: str) -> None:
    """Make the previous champion the champion again; a second time undoes that.

    \b
    Example:
      faceforge registry rollback --reason "blurred on dark images"
    """
    from faceforge.tracking.registry import rollback

    with _connected(tracking_uri):
        event = rollback(name, reason)
    click.echo(f"{name}: champion is now version {event.version} (was {event.before})")


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
