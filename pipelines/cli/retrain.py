"""`faceforge retrain SOURCE [--if-changed]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import (
    Follow,
    OneLineErrorsCommand,
    package_option,
    print_line,
    retrain_options,
    server_options,
    submit_options,
)

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.definition.parameters import RunParameters


@click.command(cls=OneLineErrorsCommand)
@click.option("--if-changed", is_flag=True, help="Only if these images have not been trained on with these parameters.")
@retrain_options
@package_option
@server_options
@submit_options
def retrain(parameters: RunParameters, server: Server, follow: Follow, package: Path | None, if_changed: bool) -> None:
    """Train again on SOURCE on a Kubeflow Pipelines server; with --if-changed, only when its images have changed.

    \b
    Examples:
      faceforge retrain s3://faces/all.parquet --preset faces64 --if-changed
      faceforge retrain /data/faces --if-changed --detach
    """
    from pipelines.cluster.retrain import check_source
    from pipelines.cluster.retrain import retrain as submit_retraining
    from pipelines.definition.compile import COMMITTED

    check_source(parameters.source)
    run = submit_retraining(package or COMMITTED, parameters, server, if_changed=if_changed, show=print_line)
    if run is not None:
        follow.submitted(run, parameters, server)
