"""`faceforge tune`."""

from __future__ import annotations

from pathlib import Path

import click

from faceforge.cli.options import configured, data_option, joined, optionally_tracked, out_option, tracking
from faceforge.errors import guarded


@click.command()
@data_option
@out_option
@click.option(
    "--budget",
    required=True,
    metavar="AMOUNT",
    help="Training of the whole search: 10min, 2h, or 200kimg (thousands of images).",
)
@click.option(
    "--space",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with the settings to vary; default: those that matter most for the preset.",
)
@click.option("--seeds", default=3, show_default=True, help="Seeds to train the best settings with.")
@click.option(
    "--storage",
    default="",
    envvar="OPTUNA_STORAGE",
    help="Database (postgresql://...) or file of the study, to share it; default: a file in OUT.",
)
@configured
@optionally_tracked
def tune(
    data: Path,
    out: Path,
    budget: str,
    space: Path | None,
    seeds: int,
    storage: str,
    preset: str,
    settings: tuple[str, ...],
    **mlflow: str,
) -> None:
    """Search for better training settings; after an interruption, the same command continues.

    Trials are scored on a validation split of the training images. The holdout is only used to report the result.
    OUT gets study.html, study.json and a folder per trial.

    \b
    Examples:
      faceforge tune --data work/data --out work/tune --budget 30min
      faceforge tune --data work/data --out work/tune --preset faces64 --budget 8h --set train.kimg=50 --space my.toml
    """
    with guarded():
        from faceforge.steps.tune import run_tune
        from faceforge.tuning.budget import SearchBudget
        from faceforge.tuning.plan import StudyPlan
        from faceforge.tuning.space import read_space
        from faceforge.tuning.study import PAGE

        plan = StudyPlan(
            preset=preset,
            settings=joined(settings),
            budget=SearchBudget.parse(budget),
            space=read_space(space) if space else "",
            seeds=seeds,
            storage=storage,
        )
        outcome = run_tune(plan=plan, data=data, out=out, tracking=tracking(out, mlflow))
        click.echo(f"{outcome.summary()}\npage: {out / PAGE}")
