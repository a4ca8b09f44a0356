"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceforge.config import preset_names
from faceforge.defaults import EXPERIMENT, MODEL_NAME, PRESET
from faceforge.errors import guarded

if TYPE_CHECKING:
    from faceforge.steps.tracked import Tracking

Command = Callable[..., Any]

out_option = click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write."
)
data_option = click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Image set that ingest or augment wrote."
)
bundle_option = click.option(
    "--bundle", required=True, type=click.Path(path_type=Path), help="Folder of a model bundle."
)
preset_option = click.option(
    "--preset", default=PRESET, show_default=True, type=click.Choice(preset_names()), help="Named settings."
)
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Override a setting; repeatable."
)
experiment_option = click.option("--experiment", default=EXPERIMENT, show_default=True, help="MLflow experiment.")
model_name_option = click.option(
    "--name", default=MODEL_NAME, show_default=True, help="Name of the model in the registry."
)
tracking_uri_option = click.option(
    "--tracking-uri", default="", help="MLflow; default: $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    """A command with these options, listed in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def configured(command: Command) -> Command:
    """Adds `--preset` and `--set`."""
    return with_options(command, preset_option, settings_option)


def optionally_tracked(command: Command) -> Command:
    """Adds the options of commands that log to MLflow only if asked to; `tracking` reads them."""
    return with_options(
        command,
        click.option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", default="", help="Log to this MLflow; default: do not log."
        ),
        click.option("--run", "run_key", default="", help="Name of the MLflow run; default: name of --out."),
        experiment_option,
    )


def tracking(out: Path, options: dict[str, str]) -> Tracking | None:
    """Where a command is tracked, from the options that `optionally_tracked` added; None: nowhere."""
    from faceforge.steps.tracked import Tracking

    if not options["tracking_uri"]:
        return None
    key = options["run_key"] or re.sub(r"[^\w.-]", "-", out.resolve().name)
    return Tracking(options["tracking_uri"], options["experiment"], key, alone=True)


def joined(settings: Sequence[str]) -> str:
    """Repeated `--set` options as one text."""
    return ", ".join(settings)


@contextmanager
def connected(tracking_uri: str) -> Iterator[None]:
    """Connects to an existing MLflow for the body; errors that the user can mend are printed as one line."""
    from faceforge.tracking.connection import connect

    with guarded():
        connect(tracking_uri, create=False)
        yield
