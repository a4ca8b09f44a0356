"""`faceforge pipeline {compile,run,submit,watch}`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from faceforge.config import preset_names
from faceforge.errors import EXIT_CODE, FaceForgeError
from pipelines.cli_options import server_options
from pipelines.synthesis_cli import synthesis

Command = Callable[..., Any]


class _OneLineErrors(click.Group):
    """Prints a `FaceForgeError` as one line and exits with its code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FaceForgeError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(getattr(error, "exit_code", EXIT_CODE))


@click.group(cls=_OneLineErrors)
def pipeline() -> None:
    """Compile the pipeline, run it here, or submit it to a cluster."""


def _run_options(command: Command) -> Command:
    """The parameters of a run, the same for `run` and `submit`."""
    options = [
        click.option("--source", default="toyfaces", show_default=True, help="As for faceforge ingest."),
        click.option("--labels", default="", help="Label columns (a,b) or a CSV file with a file-name column."),
        click.option("--preset", default="toy", show_default=True, help=f"One of: {', '.join(preset_names())}."),
        click.option(
            "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Override a setting; repeatable."
        ),
        click.option("--model-name", default="faceforge", show_default=True, help="Name in the model registry."),
        click.option("--experiment", default="faceforge", show_default=True, help="MLflow experiment."),
        click.option("--tracking-uri", default="", help="MLflow; unset = MLFLOW_TRACKING_URI, else ./mlflow.db."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


pipeline.add_command(synthesis)


@pipeline.command("compile")
@click.option("--pipeline", "which", type=click.Choice(["training", "synthesis"]), help="Which one.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to; unset = pipelines/compiled/, both pipelines unless --pipeline names one.",
)
@click.option("--image", default="", help="Image of every step.")
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
@click.option("--checkpoint-path", default="/checkpoints", show_default=True, help="Where train mounts that claim.")
@click.option("--data-claim", default="", metavar="PVC", help="Volume claim that holds the source images.")
@click.option("--data-path", default="/data", show_default=True, help="Where ingest mounts that claim.")
@click.option("--ingest-workers", default=1, help="Pods that share the work of ingest, for large sources.")
@click.option(
    "--retries", default=0, help="How often a failed ingest, train or generate pod is tried (needs --checkpoint-claim)."
)
def compile_(
    which: str | None,
    output: Path | None,
    image: str,
    secret: tuple[str, ...],
    pull_secret: tuple[str, ...],
    toleration: tuple[str, ...],
    node_selector: tuple[str, ...],
    **plain: Any,
) -> None:
    """Write the pipeline as one YAML; the options change how its pods are made, never what it computes."""
    from pipelines.compile import compile_pipeline
    from pipelines.definitions import DEFINITIONS
    from pipelines.settings import compile_settings, read_pair, read_secret, read_toleration

    options = compile_settings(
        **plain,
        **({"image": image} if image else {}),
        secrets=tuple(read_secret(text) for text in secret),
        pull_secrets=pull_secret,
        tolerations=tuple(read_toleration(text) for text in toleration),
        node_selector=dict(read_pair(text) for text in node_selector),
    )
    for name in [which or "training"] if which or output else DEFINITIONS:
        click.echo(str(compile_pipeline(output or DEFINITIONS[name].committed, options, DEFINITIONS[name])))


@pipeline.command()
@_run_options
@click.option(
    "--runs",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where run folders live.",
)
@click.option("--fresh", is_flag=True, help="Start anew, even if such a run was left unfinished.")
@click.option(
    "--package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compiled pipeline; unset = compile it now.",
)
def run(settings: tuple[str, ...], runs: Path, fresh: bool, package: Path | None, **values: str) -> None:
    """Run the pipeline on this machine; a run that was stopped or has failed is continued."""
    from pipelines.local import run_local
    from pipelines.parameters import run_parameters

    parameters = run_parameters(settings=", ".join(settings), **values)
    run_local(parameters, runs=runs, fresh=fresh, package=package, show=_say)


@pipeline.command()
@_run_options
@server_options
@click.option(
    "--package",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compiled pipeline; unset = pipelines/compiled/faceforge.yaml.",
)
@click.option("--run-key", default="", help="Continue the checkpoints and MLflow runs of this earlier run key.")
@click.option("--caching/--no-caching", default=None, help="Override the cluster's step cache.")
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
def submit(
    settings: tuple[str, ...],
    endpoint: str,
    namespace: str,
    service_account: str,
    every: float,
    timeout: float,
    package: Path | None,
    run_key: str,
    caching: bool | None,
    detach: bool,
    **values: str,
) -> None:
    """Submit the compiled pipeline to Kubeflow Pipelines and wait until it has ended."""
    from pipelines import submit as remote
    from pipelines.compile import COMMITTED
    from pipelines.parameters import run_parameters

    parameters = run_parameters(settings=", ".join(settings), **values)
    server = remote.Server(endpoint, namespace, service_account)
    run_id = remote.submit(package or COMMITTED, parameters, server, caching=caching, run_key=run_key)
    _say(f"submitted {run_id}")
    if not detach:
        remote.watch(run_id, server, every=every, timeout=timeout, show=_say)


@pipeline.command()
@click.argument("run_id")
@server_options
def watch(run_id: str, endpoint: str, namespace: str, service_account: str, every: float, timeout: float) -> None:
    """Follow a submitted run to its end; the exit code is 0 only if it has succeeded."""
    from pipelines import submit as remote

    remote.watch(run_id, remote.Server(endpoint, namespace, service_account), every=every, timeout=timeout, show=_say)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def main() -> NoReturn:
    """`python -m pipelines.cli`."""
    pipeline()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
