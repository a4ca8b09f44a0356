"""Trials of all workers -> the best settings of the search."""

from typing import List  # noqa: UP035 - kfp knows lists of artifacts by this name

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, packages_to_install=[], install_kfp_package=False)
def choose(
    searched: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    chosen: dsl.Output[dsl.Artifact],
) -> None:
    """Gather the results of all trials, and the models of the preset and of the best settings."""
    from pathlib import Path

    from faceforge.steps.choose import run_choose
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_choose(
            searched=[Path(folder.path) for folder in searched],
            out=Path(chosen.path),
            tracking=tracking,
        )
