from __future__ import annotations

import contextlib
from pathlib import Path

import mlflow
import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.tracking.run_writer import DatasetRef, Point
from faceforge.tracking.runs import finish_parent, step_run

GRID = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def all_runs() -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient()
    return list(client.search_runs([item.experiment_id for item in client.search_experiments()]))


def test_steps_nest_under_one_parent(tracking_uri: str, tmp_path: Path) -> None:
    with step_run("ingest", run_key="k1", experiment="faces", run_name="first try") as ingest:
        mlflow.log_metric("by_hand", 1.0)  # MLflow's own calls land in the step's run
    with step_run("train", run_key="k1", experiment="faces") as train:
        train.set_tags({"colour": "blue"})
    finish_parent("k1", "FINISHED")
    client = mlflow.MlflowClient()
    parent = client.get_run(ingest.parent_id)
    assert train.parent_id == ingest.parent_id
    assert parent.info.run_name == "first try"
    assert parent.info.status == "FINISHED"
    assert len(all_runs()) == 3
    child = client.get_run(ingest.run_id)
    assert child.data.tags["mlflow.parentRunId"] == ingest.parent_id
    assert child.data.tags["faceforge.step"] == "ingest"
    assert child.info.run_name == "ingest"
    assert child.data.metrics == {"by_hand": 1.0}
    assert child.info.artifact_uri.startswith(f"file://{tmp_path}/mlartifacts/faces/")
    with step_run("train", run_key="k2", experiment="faces") as other:
        pass
    assert other.parent_id != train.parent_id


def test_a_retry_reopens_the_failed_run_and_its_parent(tracking_uri: str) -> None:
    client = mlflow.MlflowClient()
    with pytest.raises(ValueError, match="too dark"), step_run("train", run_key="k1", experiment="faces") as first:
        raise ValueError("too dark\nand long")
    for run_id in (first.run_id, first.parent_id):
        assert client.get_run(run_id).info.status == "FAILED"
        assert client.get_run(run_id).data.tags["faceforge.failure"] == "ValueError: too dark"
    with step_run("train", run_key="k1", experiment="faces") as second:
        assert client.get_run(second.parent_id).info.status == "RUNNING"
    assert (second.run_id, second.parent_id) == (first.run_id, first.parent_id)
    assert client.get_run(second.run_id).info.status == "FINISHED"
    assert "faceforge.failure" not in client.get_run(second.run_id).data.tags
    assert "faceforge.failure" not in client.get_run(second.parent_id).data.tags
    assert len(all_runs()) == 2


def test_an_interrupted_step_is_killed(tracking_uri: str) -> None:
    with pytest.raises(KeyboardInterrupt), step_run("train", run_key="k1", experiment="faces") as run:
        raise KeyboardInterrupt
    assert mlflow.MlflowClient().get_run(run.run_id).info.status == "KILLED"
    assert mlflow.active_run() is None


def test_a_resumed_curve_has_every_point_once(tracking_uri: str) -> None:
    with contextlib.suppress(KeyboardInterrupt), step_run("train", run_key="k1", experiment="faces") as run:
        for seen in (100, 200, 300):
            run.log_points([Point({"loss/generator": seen / 1000}, seen, at=seen)])
            run.log_image(GRID, key="samples/fixed", step=seen)
        raise KeyboardInterrupt
    with step_run("train", run_key="k1", experiment="faces") as run:
        for seen in (200, 300, 400):  # from the last checkpoint
            run.log_points([Point({"loss/generator": seen / 1000}, seen, at=seen)])
            run.log_image(GRID, key="samples/fixed", step=seen)
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.run_id, "loss/generator")
    assert [(point.step, point.value) for point in history] == [(100, 0.1), (200, 0.2), (300, 0.3), (400, 0.4)]
    images = [file.path for file in client.list_artifacts(run.run_id, "images")]
    for seen in (100, 200, 300, 400):
        assert sorted(Path(name).suffix for name in images if f"+step+{seen}+" in name) == [".png", ".webp"]
    assert client.get_run(run.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_final_numbers_and_parameters_may_be_logged_again(tracking_uri: str) -> None:
    for value, width in ((1.0, 48), (1.0, 48), (2.0, 64)):
        with step_run("evaluate", run_key="k1", experiment="faces") as run:
            run.log_metrics({"domain/frechet": value})
            run.log_params({"model.width": width, "train.labels": ("sex", "age"), "ingest.labels": None})
    client = mlflow.MlflowClient()
    assert [point.value for point in client.get_metric_history(run.run_id, "domain/frechet")] == [1.0, 2.0]
    data = client.get_run(run.run_id).data
    assert data.metrics["domain/frechet"] == 2.0
    assert data.params == {"model.width": "48", "train.labels": "sex+age", "ingest.labels": "none"}
    assert data.tags["faceforge.changed.model.width"] == "64"


def test_the_parent_carries_the_headline_once(tracking_uri: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    dataset = DatasetRef("toyfaces", "d" * 64, "toyfaces", {"train": 85, "holdout": 15})
    for _ in range(2):
        with step_run("evaluate", run_key="k1", experiment="faces") as run:
            run.headline(
                metrics={"domain/frechet": 1.5}, params={"preset": "toy"}, tags={"faceforge.decision": "promote"},
                dataset=dataset, images={"samples": GRID}, artifacts=[tmp_path / "report.json"],
            )  # fmt: skip
    client = mlflow.MlflowClient()
    parent = client.get_run(run.parent_id)
    assert parent.data.params == {"preset": "toy"}
    assert parent.data.tags["faceforge.decision"] == "promote"
    assert parent.data.tags["faceforge.dataset_digest"] == "d" * 64
    assert len(client.get_metric_history(run.parent_id, "domain/frechet")) == 1
    assert {file.path for file in client.list_artifacts(run.parent_id)} == {"samples.png", "report.json"}
    for run_id in (run.parent_id, run.run_id):
        (given,) = client.get_run(run_id).inputs.dataset_inputs
        assert (given.dataset.name, given.dataset.digest) == ("toyfaces", "d" * 36)
    mlflow.data.get_source(given.dataset)  # MLflow can read the source back


def test_an_injected_step_run_is_joined(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("from kubeflow")
    parent = client.create_run(experiment, tags={"kfp.pipeline_run_id": "abc"}).info.run_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", child)
    with pytest.raises(RuntimeError), step_run("train", run_key="k1", experiment="another") as run:
        raise RuntimeError("no memory")
    assert (run.run_id, run.parent_id) == (child, parent)
    assert client.get_run(child).info.status == "FAILED"
    finish_parent("k1", "FINISHED")
    assert client.get_run(parent).info.status == "RUNNING"  # Kubeflow ends what Kubeflow began
    assert len(all_runs()) == 2
    assert client.get_experiment_by_name("another") is None


def test_an_injected_run_without_parent_is_the_parent(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = mlflow.MlflowClient()
    outer = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", outer)
    with step_run("train", run_key="k1", experiment="another") as run:
        pass
    assert run.parent_id == outer
    assert run.run_id != outer
    assert len(all_runs()) == 2


def test_a_deleted_experiment_and_a_bad_run_key_are_reported(tracking_uri: str) -> None:
    client = mlflow.MlflowClient()
    client.delete_experiment(client.create_experiment("old"))
    with pytest.raises(FaceForgeError, match="'old' is deleted"), step_run("train", run_key="k1", experiment="old"):
        pass
    with pytest.raises(FaceForgeError, match="run key"), step_run("train", run_key="it's", experiment="faces"):
        pass
