"""Retraining on changed images, against a SIMULATED Kubeflow Pipelines server and a real MLflow database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pipelines.cli.retrain import retrain
from tests.pipelines.kfp_server import SimulatedServer


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    from faceforge.tracking.connection import connect

    return connect(f"sqlite:///{tmp_path_factory.mktemp('retrain') / 'mlflow.db'}")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(4):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    return tmp_path / "photos"


def call(source: object, uri: str, *arguments: str) -> Result:
    return CliRunner().invoke(retrain, [str(source), "--tracking-uri", uri, "--detach", *arguments])


def log_training(key: str, status: str) -> None:
    """What a run leaves in MLflow."""
    from faceforge.tracking.runs import finish_parent, step_run

    with step_run("register", run_key=key, experiment="faceforge"):
        pass
    finish_parent(key, status)  # type: ignore[arg-type]


def keys(server: SimulatedServer) -> list[str]:
    return [run["runtime_config"]["parameters"]["run_key"] for run in server.submitted]


def test_images_are_trained_on_once(server: SimulatedServer, photos: Path, uri: str) -> None:
    assert "submitted r-1" in call(photos, uri, "--if-changed").output
    assert "is being trained on" in call(photos, uri, "--if-changed").output
    (key,) = keys(server)

    server.runs["r-1"]["state"] = "FAILED"
    log_training(key, "FAILED")
    assert "submitted r-2" in call(photos, uri, "--if-changed").output
    assert keys(server) == [key, key], "a failed run is continued"

    server.runs["r-2"]["state"] = "SUCCEEDED"
    log_training(key, "FINISHED")
    result = call(photos, uri, "--if-changed")
    assert result.exit_code == 0
    assert f"has been trained on: run {key}, nothing to do" in result.output
    assert len(server.submitted) == 2

    Image.new("RGB", (8, 8), (99, 0, 0)).save(photos / "a" / "new.png")
    assert "submitted r-3" in call(photos, uri, "--if-changed").output
    assert keys(server)[2] != key
    assert "submitted r-4" in call(photos, uri, "--if-changed", "--preset", "faces64").output


def test_without_the_option_it_always_trains(server: SimulatedServer, photos: Path, uri: str) -> None:
    for _ in range(2):
        assert call(photos, uri).exit_code == 0
    assert len(set(keys(server))) == 2


def test_an_unreadable_source_or_mlflow_is_an_error(
    server: SimulatedServer, photos: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    for source, where, message in [
        ("photos", uri, "is a relative path"),
        (photos / "missing", uri, "does not exist"),
        (photos, "http://127.0.0.1:9", "MLflow"),
    ]:
        result = call(source, where, "--if-changed")
        assert result.exit_code == 2
        assert message in result.output
    assert not server.submitted
