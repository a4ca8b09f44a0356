"""`faceforge export`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import bundle_option, optionally_tracked, out_option, tracking
from faceforge.errors import guarded


@click.command()
@bundle_option
@out_option
@click.option(
    "--with-discriminator",
    is_flag=True,
    default=None,
    help="Include the discriminator, from which one can tell which images it was trained on.",
)
@optionally_tracked
def export(bundle: Path, out: Path, with_discriminator: bool | None, **mlflow: str) -> None:
    """Write a model as bundle, Keras, HDF5, ONNX and SavedModel, with contact sheets of samples.

    \b
    Example:
      faceforge export --bundle work/model/bundle --out work/export
    """
    with guarded():
        from faceforge.steps.export import run_export

        paths = run_export(
            bundle=bundle, out=out, tracking=tracking(out, mlflow), with_discriminator=with_discriminator
        )
        for name, path in paths.items():
            click.echo(f"{name:<12} {path}")
