"""`faceforge train`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import configured, data_option, joined, optionally_tracked, tracking
from faceforge.compute.workers import is_chief
from faceforge.errors import guarded


@click.command()
@data_option
@click.option(
    "--out",
    default=Path("model"),
    type=click.Path(file_okay=False, path_type=Path),
    show_default=True,
    help="Folder to write.",
)
@click.option("--labels", help="Condition on these columns (a,b); default: all; '' = unconditional.")
@configured
@optionally_tracked
def train(data: Path, out: Path, labels: str | None, preset: str, settings: tuple[str, ...], **mlflow: str) -> None:
    """Train a GAN; after an interruption, the same command continues.

    OUT gets bundle/ (the model), grids/, metrics.jsonl and checkpoints/.

    \b
    Examples:
      faceforge train --data work/data --preset faces64 --labels gender,age_group
      faceforge train --data work/data --out work/model --set train.kimg=20 --tracking-uri sqlite:///mlflow.db
    """
    if labels is not None:
        settings += (f"train.labels={'+'.join(filter(None, (name.strip() for name in labels.split(','))))}",)
    with guarded():
        from faceforge.steps.train import run_train

        bundle = run_train(
            data=data, preset=preset, settings=joined(settings), work=out, tracking=tracking(out, mlflow)
        )
        if is_chief():
            click.echo(f"model: {bundle}\nsamples: {max((out / 'grids').glob('*.png'))}")
