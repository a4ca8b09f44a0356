"""`faceforge export`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import bundle_option, optionally_tracked, out_option, tracking
from faceforge.errors import guarded


@click.command()
@bundle_option
@out_option
@optionally_tracked
def export(bundle: Path, out: Path, **mlflow: str) -> None:
    """Write a model as bundle, Keras, HDF5, ONNX and SavedModel, with contact sheets of samples.

    \b
    Example:
      faceforge export --bundle work/model/bundle --out work/export
    """
    with guarded():
        from faceforge.steps.export import run_export

        for name, path in run_export(bundle=bundle, out=out, tracking=tracking(out, mlflow)).items():
            click.echo(f"{name:<12} {path}")
