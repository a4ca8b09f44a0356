"""`faceforge evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import (
    bundle_option,
    configured,
    data_option,
    joined,
    optionally_tracked,
    out_option,
    tracking,
)
from faceforge.defaults import MODEL_NAME
from faceforge.errors import guarded


@click.command()
@bundle_option
@data_option
@out_option
@click.option(
    "--model-name",
    default=MODEL_NAME,
    show_default=True,
    help="Registered model whose champion to compare with, if tracked.",
)
@click.option(
    "--champion",
    type=click.Path(path_type=Path),
    help="Folder of the bundle to compare with; default: the registry's champion, if tracked.",
)
@configured
@optionally_tracked
def evaluate(
    bundle: Path,
    data: Path,
    out: Path,
    model_name: str,
    champion: Path | None,
    preset: str,
    settings: tuple[str, ...],
    **mlflow: str,
) -> None:
    """Evaluate a model on the frozen holdout of the image set that it was trained on.

    OUT gets report.html, report.json, summary.txt and samples.png.

    \b
    Examples:
      faceforge evaluate --bundle work/model/bundle --data work/data --out work/report
      faceforge evaluate --bundle new/bundle --champion old/bundle --data work/data --out work/report
    """
    with guarded():
        from faceforge.steps.evaluate import run_evaluate

        run_evaluate(
            bundle=bundle,
            data=data,
            preset=preset,
            settings=joined(settings),
            out=out,
            tracking=tracking(out, mlflow),
            model_name=model_name,
            champion=champion,
        )
        click.echo((out / "summary.txt").read_text().rstrip())
