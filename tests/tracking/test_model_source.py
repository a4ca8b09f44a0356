"""Bundles by every kind of MLflow address, from a real registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.inference.registration import register_bundle
from faceforge.synthesis.source import open_model
from faceforge.tracking.model_source import download_model, model_address
from faceforge.tracking.runs import step_run


def test_every_address_leads_to_the_bundle(tracking_uri: str, tiny_bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")
    with step_run("register", run_key="k", experiment="faces") as run:
        register_bundle(tiny_bundle, name="faces", run=run, decision="promote", extra_artifacts={"report.json": report})
        run.log_artifacts(tiny_bundle, "mine/bundle")
        step, parent = run.run_id, run.parent_id
    (model,) = mlflow.MlflowClient().search_logged_models([run.experiment_id])
    files = {path.name for path in tiny_bundle.iterdir()}
    registered = [
        "models:/faces@champion",
        "models:/faces/1",
        f"models:/{model.model_id}",
        f"runs:/{step}",
        f"runs:/{parent}",
    ]
    for number, address in enumerate(
        [*registered, f"runs:/{step}/faces", f"runs:/{step}/mine", f"runs:/{step}/mine/bundle/"]
    ):
        bundle = download_model(address, tmp_path / str(number))
        assert {path.name for path in bundle.iterdir()} == files, address
        assert (bundle.parent / "report.json").is_file() == ("mine" not in address), address


def test_a_name_means_its_champion_unless_there_is_such_a_folder(
    tracking_uri: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with step_run("register", run_key="k", experiment="faces") as run:
        register_bundle(tiny_bundle, name="faces", run=run, decision="promote")
    generated = Generator.load("faces").generate(3, seed=1).images
    np.testing.assert_array_equal(generated, Generator.load("models:/faces/1").generate(3, seed=1).images)
    with open_model("faces") as model:
        assert model.name == "models:/faces/1"
    with pytest.raises(FaceForgeError, match="no folder 'photos', nor a registered model .*photos not found.*make run"):
        Generator.load("photos")
    shutil.copytree(tiny_bundle, tmp_path / "faces")
    with open_model("faces") as model:
        assert model.name == "bundle"
    for path in ("work/model", "./faces", "faces.onnx", "models:/faces/2", "runs:/01"):
        assert model_address(path) == path


def test_wrong_addresses_are_reported_in_one_line(tracking_uri: str, tmp_path: Path) -> None:
    with step_run("train", run_key="k", experiment="faces") as run:
        (tmp_path / "note.txt").write_text("no bundle")
        run.log_artifacts(tmp_path / "note.txt", "notes")
    for address, message in (
        ("models:/m-0123", "models:/m-0123: .*not found"),
        ("runs:/0123456789abcdef0123456789abcdef", "runs:/0123456789abcdef0123456789abcdef: .*not found"),
        (f"runs:/{run.run_id}", "registered no model"),
        (f"runs:/{run.run_id}/notes", "holds no model bundle"),
    ):
        with pytest.raises(FaceForgeError, match=message) as error:
            download_model(address, tmp_path / "out")
        assert "\n" not in str(error.value)
