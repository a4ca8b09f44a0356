from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from faceforge.config import resolve
from faceforge.data.overview.contact_sheet import save_png
from faceforge.steps.log_training import MlflowObserver, log_training
from faceforge.tracking import async_logger as delivery
from faceforge.tracking.runs import step_run
from faceforge.tracking.start import Start

GRID = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
CONFIG = resolve("toy")


def point(work: Path, observer: MlflowObserver, seen: int) -> None:
    """What the journal does."""
    with (work / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps({"images_seen": seen, "loss": seen / 8}) + "\n")
    save_png(work / "grids" / f"{seen:09d}.png", GRID)
    observer.on_metrics({"loss": seen / 8, "odd": float("nan")}, seen)
    observer.on_grid(GRID, seen, "samples")


def test_a_second_attempt_delivers_what_the_first_could_not(
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE_AFTER_FAILURE", 0.5)
    (tmp_path / "grids").mkdir()
    start = Start("models:/faceforge/3", tmp_path)

    def gone(*_: object, **__: object) -> None:
        raise mlflow.exceptions.MlflowException("gone")

    def evicted(observer: MlflowObserver) -> Path:
        observer.on_start({"steps": 4, "resumed_at_step": 0})
        with monkeypatch.context() as broken:
            broken.setattr(mlflow.MlflowClient, "log_batch", gone)
            for seen in (8, 16):
                point(tmp_path, observer, seen)
            raise KeyboardInterrupt

    def finished(observer: MlflowObserver) -> Path:
        observer.on_start({"steps": 4, "resumed_at_step": 2})
        for seen in (24, 32):
            point(tmp_path, observer, seen)
        observer.on_grid(GRID, 32, "interpolations")
        (tmp_path / "bundle").mkdir()
        (tmp_path / "bundle/bundle.json").write_text(
            json.dumps({"training": {"seconds": 5, "devices": 1, "place": "here"}})
        )
        return tmp_path / "bundle"

    with pytest.raises(KeyboardInterrupt), step_run("train", run_key="k1", experiment="faces") as run:
        log_training(run, CONFIG, start, tmp_path, evicted)
    with step_run("train", run_key="k1", experiment="faces") as run:
        assert log_training(run, CONFIG, start, tmp_path, finished) == tmp_path / "bundle"

    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.run_id, "loss")
    assert [(found.step, found.value) for found in history] == [(8, 1.0), (16, 2.0), (24, 3.0), (32, 4.0)]
    images = [file.path for file in client.list_artifacts(run.run_id, "images") if file.path.endswith(".webp")]
    assert sorted(name.split("/")[1].split("+timestamp")[0] for name in images) == [
        "interpolations+step+32",
        *(f"samples+step+{seen}" for seen in (16, 24, 32, 8)),
    ]
    own, parent = client.get_run(run.run_id).data, client.get_run(run.parent_id).data
    assert own.params["batch_size"] == str(CONFIG.train.batch_size)
    assert own.tags["training.resumed_at_step"] == "2"
    assert own.tags["faceforge.started_from"] == parent.tags["faceforge.started_from"] == "models:/faceforge/3"
    assert parent.metrics == {"training/seconds": 5.0}  # the parent has few metrics, the step all
    assert own.metrics == {"loss": 4.0, "training/seconds": 5.0, "training/devices": 1.0}
    assert [file.path for file in client.list_artifacts(run.run_id) if not file.is_dir] == ["bundle.json"]
    assert "not delivered" not in capsys.readouterr().err
