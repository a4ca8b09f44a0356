"""`faceforge pipeline synthesis {run,submit}`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipelines.cli.options import package_option, say, server_options, watch_options

Command = Callable[..., Any]


@click.group()
def synthesis() -> None:
    """Make, check and hand out a synthetic image set with a registered model.

    \b
    Examples:
      faceforge pipeline synthesis run --set per_class=500
      faceforge pipeline synthesis run --data work/data --set balance=true --set reject=labels+copies
      faceforge pipeline synthesis submit --set per_class=5000 --destination s3://faces/synthetic
    """


def _options(command: Command) -> Command:
    options = [
        click.option(
            "--model", default="models:/faceforge@champion", show_default=True, help="As for faceforge generate."
        ),
        click.option("--data", default="", help="Image set of real images, to balance and to check against."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="count, per_class or balance, seed, ..."
        ),
        click.option("--destination", default="", help="Folder or s3://..., gs://...; unset = artifacts of the run."),
        click.option("--experiment", default="faceforge", show_default=True, help="MLflow experiment."),
        click.option("--tracking-uri", default="", help="MLflow; unset = MLFLOW_TRACKING_URI, else ./mlflow.db."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@synthesis.command()
@_options
@click.option("--runs", default="runs", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--fresh", is_flag=True, help="Start anew, even if such a run was left unfinished.")
def run(settings: tuple[str, ...], runs: Path, fresh: bool, **values: str) -> None:
    """Run it on this machine; a run that was stopped or has failed is continued."""
    from pipelines.definition.parameters import synthesis_parameters
    from pipelines.local.run import run_local

    run_local(synthesis_parameters(**values, **_set(settings)), runs=runs, fresh=fresh, show=say)


@synthesis.command()
@_options
@server_options
@watch_options
@package_option
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
def submit(
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
    """Submit it to Kubeflow Pipelines and follow the run to its end."""
    from pipelines.cluster.server import Server
    from pipelines.cluster.submit import submit as start
    from pipelines.cluster.watch import watch
    from pipelines.definition.definitions import SYNTHESIS
    from pipelines.definition.parameters import synthesis_parameters

    server = Server(endpoint, namespace, service_account)
    parameters = synthesis_parameters(**values, **_set(settings))
    started = start(package or SYNTHESIS.committed, parameters, server)
    for line in started.lines(parameters):
        say(line)
    if not detach:
        watch(started.run_id, server, every=every, timeout=timeout, cancel=cancel, show=say)


def _set(settings: tuple[str, ...]) -> dict[str, str]:
    return {"settings": ", ".join(settings)} if settings else {}
