"""`faceforge usefulness`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import data_option, optionally_tracked, out_option, tracking
from faceforge.errors import guarded

_folder = click.Path(file_okay=False, path_type=Path)


@click.command()
@data_option
@click.option("--synthetic", required=True, type=_folder, help="Image set that `faceforge generate` wrote.")
@out_option
@click.option("--label", "column", default="", metavar="COLUMN", help="Label column; default: that of the class.")
@click.option("--class", "name", default="", metavar="NAME", help="Class to recognise; default: the rarest.")
@click.option(
    "--more-real",
    type=_folder,
    metavar="DIRECTORY",
    help="Image set with additional real images, to show what they would bring.",
)
@click.option("--seeds", default=3, show_default=True, help="Trainings per method, at least 2.")
@click.option("--steps", default=500, show_default=True, help="Steps of each training, of 64 images.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror images; not for letters and digits.")
@optionally_tracked
def usefulness(
    data: Path,
    synthetic: Path,
    out: Path,
    column: str,
    name: str,
    more_real: Path | None,
    seeds: int,
    steps: int,
    flip: bool,
    **mlflow: str,
) -> None:
    """Measure whether samples help a classifier to recognise a rare class, and how to use them.

    A small network is trained without samples (real images; logit adjustment; jitter; both) and with them (classes
    filled up; half of each class; pre-training), and tested on the holdout of DATA. Samples are called useful only if
    they beat every method without them. OUT gets usefulness.html and usefulness.json. After an interruption, the same
    command continues.

    \b
    Examples:
      faceforge usefulness --data work/data --synthetic work/synthetic --out work/usefulness
      faceforge usefulness --data work/data --synthetic work/synthetic --out work/usefulness --label age --class 60+
      faceforge usefulness --data digits --synthetic samples --out useful --no-flip --seeds 5
    """
    with guarded():
        from faceforge.steps.usefulness import run_usefulness
        from faceforge.usefulness.page import PAGE, summary
        from faceforge.usefulness.plan import UsefulnessPlan

        plan = UsefulnessPlan(
            data=data,
            synthetic=synthetic,
            out=out,
            column=column,
            name=name,
            more_real=more_real,
            seeds=seeds,
            steps=steps,
            flip=flip,
        )
        result = run_usefulness(plan=plan, tracking=tracking(out, mlflow))
        click.echo(f"{summary(result)}\npage: {out / PAGE}")
