"""The evaluate step beside a champion: does its classifier see something else in the new images?"""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.evaluation.domain_classifier import train_classifier
from faceforge.inference.registration import register_bundle
from faceforge.steps.log_data import log_domain_drift
from faceforge.tracking.runs import step_run

TAG, METRIC = "faceforge.domain_drift", "drift/domain_frechet"


def written(folder: Path, images: np.ndarray, codes: np.ndarray) -> ImageSet:
    splits = {"train": (images, codes), "holdout": (images[:40], codes[:40])}
    return write_image_set(folder, splits, {COLUMN: list(EXPRESSIONS)})  # type: ignore[arg-type]


def register(bundle: Path, key: str, classifier: Path | None) -> str:
    kept = {"classifier": classifier} if classifier else {}
    with step_run("register", run_key=key, experiment="faces") as run:
        return register_bundle(bundle, name="smilers", run=run, decision="promote", extra_artifacts=kept)


def told(key: str, images: ImageSet, version: str) -> tuple[str, dict[str, float]]:
    """The tag, which the step and its parent share, and the metrics of an evaluate step."""
    with step_run("evaluate", run_key=key, experiment="faces") as run:
        log_domain_drift(run, images, "smilers", version)
    step, parent = (mlflow.MlflowClient().get_run(run_id).data for run_id in (run.run_id, run.parent_id))
    assert step.tags[TAG] == parent.tags[TAG]
    return step.tags[TAG], step.metrics


def test_the_champions_classifier_judges_the_new_images(
    tracking_uri: str, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, codes = draw_toyfaces(700, 32, seed=8)
    first = written(tmp_path / "first", images[:300], codes[:300])
    assert told("first", first, "")[0] == "not compared: smilers has no champion"

    trained = train_classifier(
        first.load("train"), first.load("holdout"), first.info.labels,
        epochs=3, seed=0, dimensions=32, facts={"digest": first.info.digest},
    )  # fmt: skip
    trained.save(tmp_path / "classifier")
    version = register(tiny_bundle, "k1", tmp_path / "classifier")
    assert told("same", first, version) == ("none", {METRIC: 0.0})
    assert "warning" not in capsys.readouterr().err

    rows = np.flatnonzero(codes[:, 0] == 1)
    tag, metrics = told("smiling", written(tmp_path / "smiling", images[rows], codes[rows]), version)
    assert tag.startswith("what the images show (drift/domain_frechet ")
    assert metrics[METRIC] > 0.2
    assert f"warning: drift from smilers version {version}: what the images show" in capsys.readouterr().err

    larger = written(tmp_path / "larger", *draw_toyfaces(50, 64, seed=8))
    tag, metrics = told("larger", larger, version)
    assert "takes images of 32 x 32 x 3, these have 64 x 64 x 3" in tag
    assert metrics == {}
    assert "warning: drift not compared: the champion's classifier takes" in capsys.readouterr().err

    older = shutil.copytree(tmp_path / "classifier", tmp_path / "older" / "classifier")
    (older / "learnt.npz").unlink()
    assert "kept no moments" in told("older", first, register(tiny_bundle, "k2", older))[0]
    assert "has no classifier" in told("none", first, register(tiny_bundle, "k3", None))[0]
    assert told("gone", first, "99")[0].startswith("not compared: ")
