"""Trials of all workers -> the best settings and the page of the search."""

from typing import List  # noqa: UP035 - kfp knows lists of artifacts by this name

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def select(
    data: dsl.Input[dsl.Dataset],
    shared: dsl.Input[dsl.Dataset],
    chosen: dsl.Input[dsl.Artifact],
    repeated: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    preset: str,
    settings: str,
    budget: str,
    space: str,
    seeds: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    report: dsl.Output[dsl.Artifact],
) -> str:
    """Compare the best settings over their seeds, evaluate them on the holdout, and return them as `--set` text."""
    from pathlib import Path

    from faceforge.steps.select import run_select
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        return run_select(
            data=Path(data.path),
            shared=Path(shared.path),
            chosen=Path(chosen.path),
            repeated=[Path(folder.path) for folder in repeated],
            preset=preset,
            settings=settings,
            budget=budget,
            space=space,
            seeds=seeds,
            out=Path(report.path),
            tracking=tracking,
        )
