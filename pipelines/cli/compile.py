"""`faceforge pipeline compile`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipelines.definition.compile_settings import CompileSettings

Command = Callable[..., Any]


def _settings_options(command: Command) -> Command:
    """Adds an option for each field of `CompileSettings`; texts and tuples of texts are parsed by the model."""
    for name, field in reversed(CompileSettings.model_fields.items()):
        extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        repeatable = isinstance(field.default, (tuple, dict))
        command = click.option(
            f"--{extra.get('option') or name.replace('_', '-')}",
            name,
            default=() if repeatable else field.default,
            type=int if field.default is None else None,
            is_flag=isinstance(field.default, bool),
            show_default=bool(field.default),
            multiple=repeatable,
            metavar=extra.get("metavar"),
            help=field.description,
        )(command)
    return command


@click.command("compile")
@click.option(
    "--pipeline", "which", type=click.Choice(["training", "synthesis", "tuning"]), help="Pipeline to compile."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Output file; default: pipelines/compiled/, all pipelines unless --pipeline names one.",
)
@_settings_options
def compile_(which: str | None, output: Path | None, **options: Any) -> None:
    """Compile a pipeline to YAML; the options configure its pods, never what it computes.

    \b
    Examples:
      faceforge pipeline compile --output build/faceforge.yaml --gpu 1 --train-image registry.example/train:1.0-gpu
      faceforge pipeline compile --output build/faceforge.yaml --cpu 4 --memory 8Gi --data-claim photos
    """
    from pipelines.definition.compile import compile_pipeline
    from pipelines.definition.compile_settings import compile_settings
    from pipelines.definition.definitions import DEFINITIONS

    settings = compile_settings(**options)
    for name in [which or "training"] if which or output else DEFINITIONS:
        click.echo(str(compile_pipeline(output or DEFINITIONS[name].committed, settings, DEFINITIONS[name])))
