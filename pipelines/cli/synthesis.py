"""`faceforge pipeline synthesis {run,submit}`."""

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
    synthesis_options,
)

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.definition.parameters import SynthesisParameters


@click.group(cls=CommandGroup)
def synthesis() -> None:
    """Generate, check and publish a synthetic image set with a registered model.

    \b
    Examples:
      faceforge pipeline synthesis run --set per_class=500
      faceforge pipeline synthesis run --data work/data --set balance=true --set reject=labels+copies
      faceforge pipeline synthesis submit --set per_class=5000 --destination s3://faces/synthetic
    """


@synthesis.command()
@synthesis_options
@click.option("--runs", default="runs", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--fresh", is_flag=True, help="Start a new run even if there is an unfinished one to continue.")
def run(parameters: SynthesisParameters, runs: Path, fresh: bool) -> None:
    """Run the synthesis pipeline on this machine; an unfinished run with the same parameters is continued."""
    from pipelines.local.run import run_local
    from pipelines.local.terminal import Terminal

    run_local(parameters, runs=runs, fresh=fresh, show=Terminal())


@synthesis.command()
@synthesis_options
@server_options
@submit_options
@package_option
def submit(parameters: SynthesisParameters, server: Server, follow: Follow, package: Path | None) -> None:
    """Submit the synthesis pipeline to Kubeflow Pipelines and follow the run to its end."""
    from pipelines.cluster.submit import submit as submit_run
    from pipelines.definition.definitions import SYNTHESIS

    follow.submitted(submit_run(package or SYNTHESIS.committed, parameters, server), parameters, server)
