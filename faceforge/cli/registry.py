"""`faceforge registry ...`: lists, compares and promotes model versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from faceforge.cli.groups import CommandGroup
from faceforge.cli.options import Command, connected, json_option, model_name_option, tracking_uri_option, with_options
from faceforge.tracking.tags import APPROVAL_TAG, DATASET_TAG, PARENT_RUN_TAG, PROMOTED_TAG, REVISION_TAG

if TYPE_CHECKING:
    from faceforge.tracking.comparison import Comparison, Details
    from faceforge.tracking.promotion import Event

_LISTED = ("domain/frechet", "domain/recall", "domain/label_agreement")
_reason = click.option("--reason", default="", help="Reason, kept in the history.")


def _options(command: Command) -> Command:
    return with_options(command, model_name_option, tracking_uri_option)


@click.group(cls=CommandGroup)
def registry() -> None:
    """List, compare, promote and roll back model versions.

    \b
    VERSION is a number or an alias: champion, challenger, previous.

    \b
    Examples:
      faceforge registry list
      faceforge registry compare champion challenger
      faceforge registry promote 3 --reason "sharper glasses"
      faceforge registry rollback --reason "blurred on dark images"
      faceforge registry history
    """


@registry.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Number of versions.")
@_options
def list_command(limit: int, name: str, tracking_uri: str) -> None:
    """List the latest versions with their key metrics, newest first.

    \b
    Example:
      faceforge registry list --tracking-uri http://localhost:5000
    """
    from faceforge.tracking.comparison import key_metrics
    from faceforge.tracking.promotion import WAITING, approval_required
    from faceforge.tracking.versions import list_versions

    with connected(tracking_uri):
        required, rows, every = approval_required(name), [], list_versions(name)
        versions = every[:limit]  # MLflow takes some milliseconds for the metrics of each
        metrics = key_metrics(versions)
        for item in versions:
            waits = required and item.tags.get(APPROVAL_TAG) == WAITING
            decision = f"{item.decision or '-'}{', waits for approval' if waits else ''}"
            numbers = [_number(metrics[item.version].get(metric)) for metric in _LISTED]
            rows.append((item.version, ",".join(item.aliases) or "-", decision, *numbers, item.created[:16]))
        _table(("version", "aliases", "decision", *_LISTED, "created (UTC)"), rows)
        if len(every) > limit:
            click.echo(f"{len(every) - limit} older versions are not shown; --limit {len(every)} shows all")


@registry.command("show")
@click.argument("version")
@json_option
@_options
def show_command(version: str, as_json: bool, name: str, tracking_uri: str) -> None:
    """Show VERSION: decision, reasons, metrics, and who promoted it.

    \b
    Example:
      faceforge registry show champion
    """
    from faceforge.tracking.comparison import describe

    with connected(tracking_uri):
        details = describe(name, version)
        if as_json:
            click.echo(json.dumps(asdict(details), indent=2))
            return
        for key, value in _facts(name, details):
            click.echo(f"{key:<10}  {value}")
        _table(("metric", "value"), [(key, f"{value:.6g}") for key, value in sorted(details.metrics.items())])


@registry.command("compare")
@click.argument("left", metavar="VERSION", default="champion")
@click.argument("right", metavar="VERSION", default="challenger")
@json_option
@_options
def compare_command(left: str, right: str, as_json: bool, name: str, tracking_uri: str) -> None:
    """Compare two versions: metrics, and settings that differ. Default: champion and challenger.

    \b
    Example:
      faceforge registry compare 3 5
    """
    from faceforge.tracking.comparison import compare

    with connected(tracking_uri):
        comparison = compare(name, left, right)
        if as_json:
            click.echo(json.dumps(asdict(comparison), indent=2))
            return
        names = [f"version {side.info.version}" for side in (comparison.left, comparison.right)]
        click.echo(_verdict(comparison, *names))
        rows = [("decision", comparison.left.info.decision or "-", comparison.right.info.decision or "-", "")]
        for metric, one, other in comparison.metrics:
            change = "" if one is None or other is None else f"{other - one:+.4g}"
            rows.append((metric, _number(one), _number(other), change))
        _table(("", *names, "change"), rows)
        if comparison.params:
            click.echo()
            _table(("setting", *names), [(key, one or "-", other or "-") for key, one, other in comparison.params])


@registry.command("history")
@_options
def history_command(name: str, tracking_uri: str) -> None:
    """List every change of the champion, oldest first.

    \b
    Example:
      faceforge registry history --name photos
    """
    from faceforge.tracking.promotion import history

    with connected(tracking_uri):
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
@_reason
@click.option("--force", is_flag=True, help="Allow a version that was rejected or not approved; needs --reason.")
@_options
def promote_command(version: str, reason: str, force: bool, name: str, tracking_uri: str) -> None:
    """Make VERSION the champion.

    \b
    Examples:
      faceforge registry promote 3 --reason "sharper glasses"
      faceforge registry promote challenger
    """
    from faceforge.tracking.promotion import promote

    with connected(tracking_uri):
        _print_champion(name, version, promote(name, version, reason, force=force))


@registry.command("approve")
@click.argument("version")
@_reason
@_options
def approve_command(version: str, reason: str, name: str, tracking_uri: str) -> None:
    """Approve VERSION, which makes it the champion; see require-approval.

    \b
    Example:
      faceforge registry approve challenger --reason "looked at 200 samples"
    """
    from faceforge.tracking.promotion import approve

    with connected(tracking_uri):
        _print_champion(name, version, approve(name, version, reason))


@registry.command("require-approval")
@click.option("--off", is_flag=True, help="Stop requiring approval.")
@_options
def require_approval_command(off: bool, name: str, tracking_uri: str) -> None:
    """Require approval: pipelines then register models, but only `approve` makes one the champion.

    \b
    Examples:
      faceforge registry require-approval
      faceforge registry require-approval --off
    """
    from faceforge.tracking.promotion import require_approval

    with connected(tracking_uri):
        require_approval(name, not off)
        click.echo(f"{name}: {'approval is not required' if off else 'only approved versions become champion'}")


@registry.command("rollback")
@_reason
@_options
def rollback_command(reason: str, name: str, tracking_uri: str) -> None:
    """Undo the last promotion: champion and previous get their earlier versions back.

    \b
    Example:
      faceforge registry rollback --reason "blurred on dark images"
    """
    from faceforge.tracking.promotion import rollback

    with connected(tracking_uri):
        event = rollback(name, reason)
        click.echo(f"{name}: champion is now version {event.version} (was {event.before})")


def _verdict(comparison: Comparison, left: str, right: str) -> str:
    """The answer in one line: which version has the lower distance to the real images."""
    if comparison.notes:
        return f"not comparable: {'; '.join(comparison.notes)}"
    values = {name: (one, other) for name, one, other in comparison.metrics}
    one, other = values.get("domain/frechet", (None, None))
    if one is None or other is None:
        return "not comparable: domain/frechet was not logged for both"
    if one == other:
        return f"{left} and {right} have the same domain/frechet, {one:.4g}"
    better, worse = (left, right) if one < other else (right, left)
    return f"{better} is closer to the real images than {worse}: frechet {min(one, other):.4g} < {max(one, other):.4g}"


def _facts(name: str, details: Details) -> list[tuple[str, str]]:
    info, tags = details.info, details.info.tags
    promoted = [tags.get(f"{PROMOTED_TAG}{key}", "") for key in ("at", "by", "reason")]
    facts = {
        "version": f"{info.version} of {name}",
        "aliases": ", ".join(info.aliases),
        "created": info.created,
        "decision": ": ".join(filter(None, (info.decision, details.reasons))),
        "approval": tags.get(APPROVAL_TAG, ""),
        "promoted": f"{promoted[0][:19]}Z by {promoted[1]}: {promoted[2]}" if promoted[0] else "",
        "run": " · ".join(filter(None, (details.run_name, tags.get(PARENT_RUN_TAG, "")))),
        "data": tags.get(DATASET_TAG, ""),
        "code": tags.get(REVISION_TAG, ""),
    }
    return [(key, value or "-") for key, value in facts.items()]


def _print_champion(name: str, version: str, event: Event | None) -> None:
    click.echo(
        f"{name}: version {version} is the champion already"
        if event is None
        else f"{name}: champion is now version {event.version} (was {event.before or 'none'})"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
