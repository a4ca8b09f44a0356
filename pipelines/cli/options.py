"""Options that commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from faceforge.config import preset_names
from faceforge.errors import guarded

Command = Callable[..., Any]


class OneLineErrors(click.Group):
    """Tells what the user can mend as one line, and exits with its code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with guarded():
            return super().invoke(ctx)


def run_options(command: Command) -> Command:
    """The parameters of a training run, the same wherever it runs."""
    return click.option("--source", default="toyfaces", show_default=True, help="As for faceforge ingest.")(
        training_options(command)
    )


def training_options(command: Command) -> Command:
    """The parameters of a training run, but for its source."""
    return with_options(
        command,
        click.option("--labels", default="", help="Label columns (a,b) or a CSV file with a file-name column."),
        click.option("--preset", default="toy", show_default=True, help=f"One of: {', '.join(preset_names())}."),
        click.option(
            "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Override a setting; repeatable."
        ),
        click.option("--model-name", default="faceforge", show_default=True, help="Name in the model registry."),
        click.option("--experiment", default="faceforge", show_default=True, help="MLflow experiment."),
        click.option("--tracking-uri", default="", help="MLflow; unset = MLFLOW_TRACKING_URI, else ./mlflow.db."),
    )


def server_options(command: Command) -> Command:
    """Which Kubeflow Pipelines server, and as whom."""
    return with_options(
        command,
        click.option("--endpoint", default="", help="KFP API address; unset = KF_PIPELINES_ENDPOINT."),
        click.option("--namespace", default="", help="Profile namespace of a multi-user installation."),
        click.option("--service-account", default="", help="Kubernetes service account of the pods."),
    )


def watch_options(command: Command) -> Command:
    """How to follow a run."""
    return with_options(
        command,
        click.option(
            "--every", default=10.0, show_default=True, type=click.FloatRange(min=0.01), help="Seconds between looks."
        ),
        click.option(
            "--timeout", default=0.0, type=click.FloatRange(min=0), help="Stop watching after so many seconds."
        ),
        click.option("--cancel", is_flag=True, help="Ctrl-C ends the run too; else it only stops watching."),
    )


package_option = click.option(
    "--package",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compiled pipeline; unset = the one of the repository.",
)


def with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    """A command with these options, listed in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def say(line: str) -> None:
    """One line for the user, at once."""
    click.echo(line)
    sys.stdout.flush()
