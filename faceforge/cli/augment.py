"""`faceforge augment`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import configured, data_option, joined, optionally_tracked, out_option, tracking
from faceforge.errors import guarded


@click.command()
@data_option
@out_option
@configured
@optionally_tracked
def augment(data: Path, out: Path, preset: str, settings: tuple[str, ...], **mlflow: str) -> None:
    """Enlarge the training split of an image set: mirror images, jittered copies, balanced classes.

    \b
    Example:
      faceforge augment --data work/data --out work/more --set augment.flip=true --set augment.balance=gender
    """
    with guarded():
        from faceforge.steps.augment import run_augment

        images = run_augment(
            data=data, preset=preset, settings=joined(settings), out=out, tracking=tracking(out, mlflow)
        )
        click.echo(f"{out}: train {images.info.counts['train'].total:,}")
