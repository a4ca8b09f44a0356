"""`faceforge retrain SOURCE [--if-changed]`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.errors import guarded
from pipelines.cli.options import package_option, say, server_options, training_options, watch_options


@click.command()
@click.argument("source")
@click.option("--if-changed", is_flag=True, help="Only if these images have not been trained on yet.")
@training_options
@package_option
@server_options
@watch_options
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
def retrain(
    source: str,
    if_changed: bool,
    settings: tuple[str, ...],
    endpoint: str,
    namespace: str,
    service_account: str,
    package: Path | None,
    detach: bool,
    every: float,
    timeout: float,
    cancel: bool,
    **values: str,
) -> None:
    """Train anew on SOURCE on a Kubeflow Pipelines server; with --if-changed, only when its images have changed.

    \b
    Examples:
      faceforge retrain s3://faces/all.parquet --preset faces64 --if-changed
      faceforge retrain /data/faces --if-changed --detach
    """
    from pipelines.cluster.retrain import check_source
    from pipelines.cluster.retrain import retrain as train_anew
    from pipelines.cluster.server import Server
    from pipelines.cluster.watch import watch
    from pipelines.definition.compile import COMMITTED
    from pipelines.definition.parameters import run_parameters

    with guarded():
        check_source(source)
        parameters = run_parameters(source=source, settings=", ".join(settings), **values)
        server = Server(endpoint, namespace, service_account)
        started = train_anew(package or COMMITTED, parameters, server, if_changed, say)
        if started is None:
            return
        for line in started.lines(parameters):
            say(line)
        if not detach:
            watch(started.run_id, server, every=every, timeout=timeout, cancel=cancel, show=say)
