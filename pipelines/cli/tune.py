"""`faceforge pipeline tune {run,submit}`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceforge.cli.groups import CommandGroup
from pipelines.cli.options import (
    Follow,
    package_option,
    server_options,
    submit_options,
    tuning_options,
)

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.definition.parameters import TuningParameters


@click.group(cls=CommandGroup)
def tune() -> None:
    """Search for better training settings, with trials on several workers.

    \b
    Examples:
      faceforge pipeline compile --pipeline tuning --output build/tuning.yaml --tune-workers 8 --checkpoint-claim runs
      faceforge pipeline tune submit --package build/tuning.yaml --source s3://faces/photos --budget 24h
      faceforge pipeline tune run --budget 30min
    """


@tune.command()
@tuning_options
@click.option("--runs", default="runs", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--fresh", is_flag=True, help="Start a new run even if there is an unfinished one to continue.")
@click.option(
    "--package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compiled pipeline; default: compile it now, with one worker.",
)
def run(parameters: TuningParameters, runs: Path, fresh: bool, package: Path | None) -> None:
    """Run the tuning pipeline on this machine; an unfinished run with the same parameters is continued."""
    from pipelines.local.run import run_local
    from pipelines.local.terminal import Terminal

    run_local(parameters, runs=runs, fresh=fresh, package=package, show=Terminal())


@tune.command()
@tuning_options
@server_options
@submit_options
@package_option
def submit(parameters: TuningParameters, server: Server, follow: Follow, package: Path | None) -> None:
    """Submit the tuning pipeline to Kubeflow Pipelines and follow the run to its end."""
    from pipelines.cluster.submit import submit as submit_run
    from pipelines.definition.definitions import TUNING

    follow.submitted(submit_run(package or TUNING.committed, parameters, server), parameters, server)
