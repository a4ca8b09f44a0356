"""`faceforge pipeline {compile,run,submit,runs,watch,logs,retry,terminate,close,synthesis,tune}`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from pipelines.cli.compile import compile_
from pipelines.cli.options import (
    Follow,
    OneLineErrorsGroup,
    package_option,
    print_line,
    run_options,
    server_options,
    submit_options,
    watch_options,
)
from pipelines.cli.synthesis import synthesis
from pipelines.cli.tune import tune

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.definition.parameters import RunParameters


@click.group(cls=OneLineErrorsGroup)
def pipeline() -> None:
    """Compile a pipeline, run it on this machine, or submit it to a cluster.

    \b
    Examples:
      faceforge pipeline run --source photos.zip --preset faces64
      faceforge pipeline compile --output build/faceforge.yaml --gpu 1
      faceforge pipeline submit --package build/faceforge.yaml --source s3://faces/photos --preset faces64
      faceforge pipeline runs
    """


pipeline.add_command(compile_)
pipeline.add_command(synthesis)
pipeline.add_command(tune)


@pipeline.command()
@run_options
@click.option(
    "--runs",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of run folders.",
)
@click.option("--fresh", is_flag=True, help="Start a new run even if there is an unfinished one to continue.")
@click.option(
    "--runner",
    default="process",
    show_default=True,
    type=click.Choice(["process", "docker"]),
    help="Steps run as processes or in containers.",
)
@click.option("--network", default="host", show_default=True, help="Network of the containers, for --runner docker.")
@click.option(
    "--package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compiled pipeline; default: compile it now.",
)
def run(parameters: RunParameters, runs: Path, fresh: bool, runner: str, network: str, package: Path | None) -> None:
    """Run the pipeline on this machine; an unfinished run with the same parameters is continued.

    \b
    Examples:
      faceforge pipeline run
      faceforge pipeline run --source faces.parquet --labels gender,age_group --preset faces64
      faceforge pipeline run --source photos.zip --preset faces64 --set ingest.crop=face --set train.kimg=100
    """
    from pipelines.local.run import run_local
    from pipelines.local.terminal import Terminal

    network = network if runner == "docker" else ""
    run_local(parameters, runs=runs, fresh=fresh, package=package, network=network, show=Terminal())


@pipeline.command()
@run_options
@server_options
@submit_options
@package_option
@click.option("--run-key", default="", help="Continue the checkpoints and MLflow runs of this earlier run key.")
def submit(parameters: RunParameters, server: Server, follow: Follow, package: Path | None, run_key: str) -> None:
    """Submit the compiled pipeline to Kubeflow Pipelines and follow the run to its end.

    \b
    Examples:
      faceforge pipeline submit --source s3://faces/photos --preset faces64 --tracking-uri http://mlflow.mlflow:5000
      faceforge pipeline submit --package build/faceforge.yaml --source /data/photos --detach
    """
    from pipelines.cluster.submit import submit as submit_run
    from pipelines.definition.compile import COMMITTED

    follow.submitted(submit_run(package or COMMITTED, parameters, server, run_key=run_key), parameters, server)


@pipeline.command()
@click.argument("run_id")
@server_options
@watch_options
def watch(run_id: str, server: Server, follow: Follow) -> None:
    """Follow a submitted run to its end; the exit code is 0 only if it has succeeded.

    \b
    Example:
      faceforge pipeline watch 0b1e6c2a-5f0e-4a55-9d3c-3a2f3f6a9d10 --timeout 3600
    """
    follow.watch(run_id, server)


@pipeline.command()
@server_options
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Number of runs.")
def runs(server: Server, limit: int) -> None:
    """List the latest runs on the server, newest first.

    \b
    Example:
      faceforge pipeline runs --limit 5
    """
    from pipelines.cluster.connection import connect
    from pipelines.cluster.runs import find_runs, table

    client = connect(server)
    for line in table(find_runs(client, limit), client):
        print_line(line)


@pipeline.command()
@click.argument("run_id")
@click.option("--step", default="", help="Only this step.")
@click.option("--tail", default=0, type=click.IntRange(min=0), help="Only the last lines of each step, this many.")
@click.option("--all", "everything", is_flag=True, help="Also print the informational lines of Kubeflow.")
@server_options
def logs(run_id: str, step: str, tail: int, everything: bool, server: Server) -> None:
    """Print the logs of a run's steps; of pods that are gone, the archived logs.

    \b
    Example:
      faceforge pipeline logs 0b1e6c2a-5f0e-4a55-9d3c-3a2f3f6a9d10 --step train --tail 50
    """
    from pipelines.cluster.logs import read_logs

    for name, line in read_logs(run_id, server, step=step, tail=tail, everything=everything):
        print_line(f"{name:<10} {line}")


@pipeline.command()
@click.argument("run_id")
@server_options
def retry(run_id: str, server: Server) -> None:
    """Run the failed steps of a run again; training resumes from its last checkpoint where there is a volume.

    \b
    Example:
      faceforge pipeline retry 0b1e6c2a-5f0e-4a55-9d3c-3a2f3f6a9d10
    """
    from pipelines.cluster.runs import retry as retry_run

    retry_run(run_id, server)
    print_line(f"{run_id} is retried; follow it with: faceforge pipeline watch {run_id}")


@pipeline.command()
@click.argument("run_id")
@server_options
def terminate(run_id: str, server: Server) -> None:
    """Terminate a run."""
    from pipelines.cluster.runs import terminate as terminate_run

    terminate_run(run_id, server)
    print_line(f"{run_id} is being terminated")


@pipeline.command()
@click.argument("run_id", required=False)
@click.option("--tracking-uri", default="", help="MLflow as seen from here; default: MLFLOW_TRACKING_URI.")
@server_options
def close(run_id: str | None, tracking_uri: str, server: Server) -> None:
    """End the MLflow run of a finished pipeline run that its last step could not end, for example after a retry.

    Without RUN_ID, the MLflow runs of all such pipeline runs are ended.

    \b
    Example:
      faceforge pipeline close --tracking-uri http://localhost:5000
    """
    from pipelines.cluster.close import close_one, close_stale
    from pipelines.cluster.connection import connect

    if run_id:
        print_line(close_one(run_id, server, tracking_uri))
        return
    closed = close_stale(connect(server), tracking_uri)
    print_line("\n".join(f"MLflow run {key}: failed" for key in closed) or "no such run")


def main() -> NoReturn:
    """`python -m pipelines.cli.pipeline`."""
    pipeline()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
