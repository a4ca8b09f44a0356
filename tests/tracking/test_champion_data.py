"""The ingest step beside a champion: what was it trained on, and has the data moved since?"""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.steps.ingest import run_ingest
from faceforge.steps.tracked import Tracking
from faceforge.tracking.champion_data import champion_data
from faceforge.tracking.runs import step_run

SETTINGS = "ingest.limit=300, ingest.holdout=0.3"


def ingest(tmp_path: Path, key: str, source: str, uri: str, settings: str = SETTINGS) -> ImageSet:
    tracking = Tracking(uri, "faces", key)
    return run_ingest(
        source=source,
        labels=None,
        preset="toy",
        settings=settings,
        out=tmp_path / key,
        tracking=tracking,
        model_name="smilers",
    )


def make_champion(key: str) -> None:
    """Registers what the pipeline run of this key would have made."""
    client = mlflow.MlflowClient()
    with step_run("register", run_key=key, experiment="faces") as run:
        source = client.get_run(run.run_id).info.artifact_uri
        client.create_registered_model("smilers")
        tags = {"faceforge.parent_run_id": run.parent_id}
        client.create_model_version("smilers", source, run.run_id, tags=tags)
    client.set_registered_model_alias("smilers", "champion", "1")


def runs(key: str) -> dict[str, Run]:
    """The runs of a pipeline run by role or step."""
    client = mlflow.MlflowClient()
    (experiment,) = (found for found in client.search_experiments() if found.name == "faces")
    found = client.search_runs([experiment.experiment_id], f"tags.`faceforge.run_key` = '{key}'")
    return {run.data.tags.get("faceforge.step", "parent"): run for run in found}


def test_ingest_tells_how_far_the_data_moved_from_the_champion(
    tracking_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ingest(tmp_path, "first", "toyfaces", tracking_uri)
    assert runs("first")["parent"].data.tags["faceforge.drift"] == "not compared: smilers has no champion"
    artifacts = {file.path for file in mlflow.MlflowClient().list_artifacts(runs("first")["ingest"].info.run_id)}
    assert artifacts == {"dataset.json", "overview.html", "overview.png"}

    make_champion("first")
    found = champion_data("smilers")
    assert found.version == "1"
    assert found.text == (first.root / "dataset.json").read_text()

    ingest(tmp_path, "same", "toyfaces", tracking_uri)
    assert runs("same")["ingest"].data.tags["faceforge.drift"] == "none"
    assert runs("same")["ingest"].data.metrics["drift/thumbnail_frechet"] == 0
    capsys.readouterr()

    ingest(tmp_path, "moved", "toyfaces:neutral=8,smiling=1,glasses=1", tracking_uri)
    told = runs("moved")["parent"].data.tags["faceforge.drift"]
    assert "class shares of 'expression', most of all 'neutral'" in told
    assert runs("moved")["ingest"].data.metrics["drift/labels_expression"] > 0.4
    assert "warning: drift from smilers version 1: class shares" in capsys.readouterr().err


def test_what_cannot_be_compared_does_not_stop_the_step(
    tracking_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with step_run("train", run_key="other", experiment="faces"):
        pass
    make_champion("other")
    with pytest.raises(FaceForgeError, match="smilers version 1 has no ingest step"):
        champion_data("smilers")
    ingest(tmp_path, "k", "toyfaces", tracking_uri)
    assert "has no ingest step" in runs("k")["parent"].data.tags["faceforge.drift"]
    assert runs("k")["ingest"].info.status == "FINISHED"

    # A description of some later version of the format.
    with step_run("ingest", run_key="other", experiment="faces") as run:
        (tmp_path / "later").mkdir()
        shutil.copy(tmp_path / "k" / "dataset.json", tmp_path / "later")
        text = (tmp_path / "later" / "dataset.json").read_text()
        (tmp_path / "later" / "dataset.json").write_text(text.replace('"source"', '"origin"'))
        run.log_artifacts(tmp_path / "later" / "dataset.json")
    ingest(tmp_path, "k2", "toyfaces", tracking_uri)
    assert runs("k2")["parent"].data.tags["faceforge.drift"].startswith("not compared:")
    assert "warning: drift not compared:" in capsys.readouterr().err
