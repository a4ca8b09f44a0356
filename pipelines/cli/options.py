"""Options that several commands share. Each group of options reaches the command as one object."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from faceforge.cli.groups import CommandGroup
from faceforge.errors import guarded
from pipelines.definition.parameters import (
    PipelineParameters,
    RunParameters,
    SynthesisParameters,
    TuningParameters,
    run_parameters,
    synthesis_parameters,
    tuning_parameters,
)

if TYPE_CHECKING:
    from pipelines.cluster.server import Server
    from pipelines.cluster.submit import SubmittedRun

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


class _OneLineErrors:
    """Reports a `FaceForgeError` as one line and exits with its code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with guarded():
            return super().invoke(ctx)  # type: ignore[misc]


class OneLineErrorsCommand(_OneLineErrors, click.Command):
    """A command that reports a `FaceForgeError` as one line."""


class OneLineErrorsGroup(_OneLineErrors, CommandGroup):
    """A group of commands that report a `FaceForgeError` as one line."""


@dataclass(frozen=True)
class Follow:
    """How to follow a submitted run; see `pipelines.cluster.watch.watch`.

    Attributes:
        every: seconds between polls.
        timeout: seconds after which to stop watching; 0 = no limit.
        start_deadline: minutes after which to terminate the run if a pod of it has not started; 0 = no limit.
        cancel: Ctrl-C terminates the run.
        retry_failed: how often to retry the failed steps of a run.
        detach: do not watch at all.
    """

    every: float
    timeout: float
    start_deadline: float
    cancel: bool
    retry_failed: int = 0
    detach: bool = False

    def watch(self, run_id: str, server: Server) -> None:
        """Watches a run to its end; retries it up to `retry_failed` times if it fails."""
        from pipelines.cluster.failure import RunFailedError
        from pipelines.cluster.runs import retry
        from pipelines.cluster.watch import watch

        for attempt in range(1, self.retry_failed + 2):
            try:
                watch(
                    run_id,
                    server,
                    every=self.every,
                    timeout=self.timeout,
                    start_deadline=60 * self.start_deadline,
                    cancel=self.cancel,
                    show=print_line,
                )
                return
            except RunFailedError as error:
                if attempt > self.retry_failed:
                    raise
                print_line(f"{error}\n{run_id} · retry {attempt} of {self.retry_failed}")
                retry(run_id, server)

    def submitted(self, run: SubmittedRun, parameters: PipelineParameters, server: Server) -> None:
        """Reports a submitted run and, unless detached, watches it to its end."""
        for line in run.lines(parameters):
            print_line(line)
        if not self.detach:
            self.watch(run.run_id, server)


def option_group(name: str, make: Callable[..., Any], *options: Decorator) -> Decorator:
    """A decorator that adds options to a command, which receives them as one argument `name` = `make(**values)`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_object(**values: Any) -> Any:
            own = {option: values.pop(option) for option in names}
            return command(**{name: make(**own)}, **values)

        outer = getattr(command, "__click_params__", [])
        with_object.__click_params__ = []  # type: ignore[attr-defined]
        for option in reversed(options):
            option(with_object)
        names = [parameter.name for parameter in with_object.__click_params__]  # type: ignore[attr-defined]
        with_object.__click_params__ = [*outer, *with_object.__click_params__]  # type: ignore[attr-defined]
        return with_object

    return decorate


def _run_parameters(**values: Any) -> RunParameters:
    return run_parameters(**{**values, "settings": ", ".join(filter(None, values["settings"]))})


def _synthesis_parameters(**values: Any) -> SynthesisParameters:
    settings = ", ".join(filter(None, values.pop("settings")))
    return synthesis_parameters(**values, **({"settings": settings} if settings else {}))


def _tuning_parameters(**values: Any) -> TuningParameters:
    return tuning_parameters(**{**values, "settings": ", ".join(filter(None, values["settings"]))})


def _server(**values: str) -> Server:
    from pipelines.cluster.server import Server

    return Server(**values)


def _options(kind: type[BaseModel], without: str = "") -> list[Decorator]:
    """An option per field of a parameters class, with the field's default and description; none for `without`."""
    options: list[Decorator] = []
    for name, field in kind.model_fields.items():
        if name != without:
            given: dict[str, Any] = {"default": field.default, "show_default": bool(field.default)}
            if name == "settings":  # repeatable; without any, the parameters' own default counts
                given = {"multiple": True, "metavar": "NAME=VALUE"}
            flag = "--set" if name == "settings" else f"--{name.replace('_', '-')}"
            options.append(click.option(flag, name, help=field.description, **given))
    return options


run_options = option_group("parameters", _run_parameters, *_options(RunParameters))
"""Parameters of a training run, as `parameters: RunParameters`."""

retrain_options = option_group(
    "parameters", _run_parameters, click.argument("source"), *_options(RunParameters, without="source")
)
"""The same with the source as an argument."""

synthesis_options = option_group("parameters", _synthesis_parameters, *_options(SynthesisParameters))
"""Parameters of a synthesis run, as `parameters: SynthesisParameters`."""

tuning_options = option_group("parameters", _tuning_parameters, *_options(TuningParameters))
"""Parameters of a search for settings, as `parameters: TuningParameters`."""

server_options = option_group(
    "server",
    _server,
    click.option("--endpoint", default="", help="KFP API address; default: KF_PIPELINES_ENDPOINT."),
    click.option("--namespace", default="", help="Profile namespace of a multi-user installation."),
    click.option("--service-account", default="", help="Kubernetes service account of the pods."),
)
"""Which Kubeflow Pipelines server to use, as `server: Server`."""

_watch_options = (
    click.option(
        "--every", default=10.0, show_default=True, type=click.FloatRange(min=0.01), help="Seconds between polls."
    ),
    click.option("--timeout", default=0.0, type=click.FloatRange(min=0), help="Stop watching after this many seconds."),
    click.option(
        "--start-deadline",
        default=60.0,
        show_default=True,
        type=click.FloatRange(min=0),
        help="Terminate the run if one of its pods has not started after this many minutes; 0 = never.",
    ),
    click.option("--cancel", is_flag=True, help="Ctrl-C terminates the run; without it, Ctrl-C only stops watching."),
    click.option(
        "--retry-failed",
        default=0,
        type=click.IntRange(min=0),
        help="Retry the failed steps of a failed run up to this many times.",
    ),
)
watch_options = option_group("follow", Follow, *_watch_options)
"""How to watch a run, as `follow: Follow`."""

submit_options = option_group(
    "follow", Follow, *_watch_options, click.option("--detach", is_flag=True, help="Do not wait for the run to end.")
)
"""How to watch a run that was submitted, as `follow: Follow`."""

package_option = click.option(
    "--package",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compiled pipeline; default: the one in the repository.",
)


def print_line(line: str) -> None:
    """Prints a line and flushes it."""
    click.echo(line)
    sys.stdout.flush()
