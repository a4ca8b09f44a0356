"""`faceforge pipeline {compile,run,submit,runs,watch,logs,retry,terminate}`, and `synthesis` of the second one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from components import IMAGE, TRAIN_IMAGE
from pipelines.cli.options import OneLineErrors, package_option, run_options, say, server_options, watch_options
from pipelines.cli.synthesis import synthesis


@click.group(cls=OneLineErrors)
def pipeline() -> None:
    """Compile the pipeline, run it here, or submit it to a cluster."""


pipeline.add_command(synthesis)


@pipeline.command("compile")
@click.option("--pipeline", "which", type=click.Choice(["training", "synthesis"]), help="Which one.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to; unset = pipelines/compiled/, both pipelines unless --pipeline names one.",
)
@click.option("--core-image", default=IMAGE, show_default=True, help="Image of the steps without networks.")
@click.option("--train-image", default=TRAIN_IMAGE, show_default=True, help="Image of train, evaluate, export, ...")
@click.option("--gpu", default=0, help="Accelerators for train.")
@click.option("--gpu-type", default="nvidia.com/gpu", show_default=True, help="Resource name of the accelerator.")
@click.option("--cpu", default="", help="CPU limit of train, for example 4.")
@click.option("--memory", default="", help="Memory limit of train and evaluate, for example 8Gi.")
@click.option("--shm-size", default="", help="Size of /dev/shm in train and evaluate, for example 2Gi.")
@click.option(
    "--secret", "secret", multiple=True, metavar="NAME:KEY=ENV", help="Secret as variable of every step; repeatable."
)
@click.option("--pull-secret", multiple=True, metavar="NAME", help="Image pull secret; repeatable.")
@click.option(
    "--toleration", multiple=True, metavar="KEY[=VALUE][:EFFECT]", help="Taint that train tolerates; repeatable."
)
@click.option("--node-selector", multiple=True, metavar="LABEL=VALUE", help="Label of nodes for train; repeatable.")
@click.option("--checkpoint-claim", default="", metavar="PVC", help="Volume claim that keeps checkpoints over retries.")
@click.option(
    "--checkpoint-path", default="/checkpoints", show_default=True, help="Where train mounts that claim; or s3://..."
)
@click.option("--data-claim", default="", metavar="PVC", help="Volume claim that holds the source images.")
@click.option("--data-path", default="/data", show_default=True, help="Where ingest mounts that claim.")
@click.option("--ingest-workers", default=1, help="Pods that share the work of ingest, for large sources.")
@click.option(
    "--retries",
    default=0,
    help="How often a failed ingest, train or generate pod is tried (wants a place for checkpoints).",
)
def compile_(
    which: str | None,
    output: Path | None,
    secret: tuple[str, ...],
    pull_secret: tuple[str, ...],
    toleration: tuple[str, ...],
    node_selector: tuple[str, ...],
    **plain: Any,
) -> None:
    """Write the pipeline as one YAML; the options change how its pods are made, never what it computes."""
    from pipelines.definition.compile import compile_pipeline
    from pipelines.definition.compile_settings import compile_settings, read_pair, read_secret, read_toleration
    from pipelines.definition.definitions import DEFINITIONS

    options = compile_settings(
        **plain,
        secrets=tuple(read_secret(text) for text in secret),
        pull_secrets=pull_secret,
        tolerations=tuple(read_toleration(text) for text in toleration),
        node_selector=dict(read_pair(text) for text in node_selector),
    )
    for name in [which or "training"] if which or output else DEFINITIONS:
        click.echo(str(compile_pipeline(output or DEFINITIONS[name].committed, options, DEFINITIONS[name])))


@pipeline.command()
@run_options
@click.option(
    "--runs",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where run folders live.",
)
@click.option("--fresh", is_flag=True, help="Start anew, even if such a run was left unfinished.")
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
    help="Compiled pipeline; unset = compile it now.",
)
def run(
    settings: tuple[str, ...],
    runs: Path,
    fresh: bool,
    runner: str,
    network: str,
    package: Path | None,
    **values: str,
) -> None:
    """Run the pipeline on this machine; a run that was stopped or has failed is continued."""
    from pipelines.definition.parameters import run_parameters
    from pipelines.local.run import run_local

    parameters = run_parameters(settings=", ".join(settings), **values)
    network = network if runner == "docker" else ""
    run_local(parameters, runs=runs, fresh=fresh, package=package, network=network, show=say)


@pipeline.command()
@run_options
@server_options
@watch_options
@package_option
@click.option("--run-key", default="", help="Continue the checkpoints and MLflow runs of this earlier run key.")
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
def submit(
    settings: tuple[str, ...],
    endpoint: str,
    namespace: str,
    service_account: str,
    package: Path | None,
    run_key: str,
    detach: bool,
    every: float,
    timeout: float,
    cancel: bool,
    **values: str,
) -> None:
    """Submit the compiled pipeline to Kubeflow Pipelines and follow the run to its end."""
    from pipelines.cluster.server import Server
    from pipelines.cluster.submit import submit as start
    from pipelines.cluster.watch import watch as follow
    from pipelines.definition.compile import COMMITTED
    from pipelines.definition.parameters import run_parameters

    parameters = run_parameters(settings=", ".join(settings), **values)
    server = Server(endpoint, namespace, service_account)
    started = start(package or COMMITTED, parameters, server, run_key=run_key)
    for line in started.lines(parameters):
        say(line)
    if not detach:
        follow(started.run_id, server, every=every, timeout=timeout, cancel=cancel, show=say)


@pipeline.command()
@click.argument("run_id")
@server_options
@watch_options
def watch(run_id: str, every: float, timeout: float, cancel: bool, **server: str) -> None:
    """Follow a submitted run to its end; the exit code is 0 only if it has succeeded."""
    from pipelines.cluster.server import Server
    from pipelines.cluster.watch import watch as follow

    follow(run_id, Server(**server), every=every, timeout=timeout, cancel=cancel, show=say)


@pipeline.command()
@server_options
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many.")
def runs(limit: int, **server: str) -> None:
    """The latest runs on the server, newest first."""
    from pipelines.cluster.runs import list_runs, table
    from pipelines.cluster.server import Server

    for line in table(list_runs(Server(**server), limit)):
        say(line)


@pipeline.command()
@click.argument("run_id")
@click.option("--step", default="", help="Only this step.")
@click.option("--tail", default=0, type=click.IntRange(min=0), help="Only so many last lines of each step.")
@click.option("--namespace", default="", help="Of the pods; unset = kubeflow.")
def logs(run_id: str, step: str, tail: int, namespace: str) -> None:
    """What the steps of a run have said, as long as their pods are there; asks Kubernetes, by its configuration."""
    from pipelines.cluster.logs import read_logs

    for name, line in read_logs(run_id, namespace, step, tail):
        say(f"{name:<10} {line}")


@pipeline.command()
@click.argument("run_id")
@server_options
def retry(run_id: str, **server: str) -> None:
    """Run what has failed in a run again; training goes on from its last checkpoint where there is a volume."""
    from pipelines.cluster.runs import retry as again
    from pipelines.cluster.server import Server

    again(run_id, Server(**server))
    say(f"{run_id} is tried again; follow it with: faceforge pipeline watch {run_id}")


@pipeline.command()
@click.argument("run_id")
@server_options
def terminate(run_id: str, **server: str) -> None:
    """End a run."""
    from pipelines.cluster.runs import end
    from pipelines.cluster.server import Server

    end(run_id, Server(**server))
    say(f"{run_id} is being ended")


def main() -> NoReturn:
    """`python -m pipelines.cli.pipeline`."""
    pipeline()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
