from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest

from faceforge.tracking import async_logger as module
from faceforge.tracking.async_logger import AsyncLogger
from faceforge.tracking.connection import connect
from faceforge.tracking.runs import step_run
from tests.tracking.servers import free_port, mlflow_server

GRID = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def curve(run_id: str, name: str = "loss") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run_id, name)]


def wait_for(what: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(*_: object, **__: object) -> None:
    raise mlflow.exceptions.MlflowException("gone")


def test_a_server_that_is_killed_and_comes_back_gets_everything_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tracking_uri: str
) -> None:
    port, slowest = free_port(), 0.0
    options = ["--backend-store-uri", tracking_uri, "--artifacts-destination", str(tmp_path / "store")]
    with ExitStack() as server:
        connect(server.enter_context(mlflow_server(*options, env={}, port=port)))
        with step_run("train", run_key="k1", experiment="served") as run, AsyncLogger(run, "there") as logger:

            def tell(steps: range) -> None:
                nonlocal slowest
                for step in steps:
                    began = time.monotonic()
                    logger.point({"loss": step / 7, "rate": 3.0}, step)
                    if step % 10 == 0:
                        logger.call("image", partial(run.log_image, GRID, "samples", step), GRID.nbytes)
                    slowest = max(slowest, time.monotonic() - began)
                    time.sleep(0.005)

            tell(range(1, 40))
            server.close()  # SIGKILL, very likely in the middle of a request
            tell(range(40, 80))
            wait_for(lambda: logger.troubled)
            server.enter_context(mlflow_server(*options, env={}, port=port))
            tell(range(80, 120))
        assert curve(run.run_id) == [(step, step / 7) for step in range(1, 120)]
        assert [step for step, _ in curve(run.run_id, "rate")] == list(range(1, 120))
        images = [file.path for file in mlflow.MlflowClient().list_artifacts(run.run_id, "images")]
        small = sorted(int(name.split("+step+")[1].split("+")[0]) for name in images if name.endswith(".webp"))
        assert small == list(range(10, 120, 10))
        assert mlflow.MlflowClient().get_run(run.run_id).info.status == "FINISHED"
    assert slowest < 0.2
    said = capsys.readouterr().err
    assert said.count("logging continues when it answers") == 1
    assert said.count("MLflow answers again") == 1
    assert "not logged" not in said


def test_what_never_arrives_is_said_and_costs_a_bounded_time(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with step_run("train", run_key="k1", experiment="faces") as run, monkeypatch.context() as broken:
        broken.setattr(mlflow.MlflowClient, "log_batch", gone)
        began = time.monotonic()
        with AsyncLogger(run, "work/metrics.jsonl", patience=2.5) as logger:
            for step in range(3):
                logger.point({"loss": 1.0}, step)
            logger.call("image", lambda: None)
        assert 2 < time.monotonic() - began < 5
    said = capsys.readouterr().err
    assert "not logged to MLflow: 3 curve points, 1 image (MLflow: gone); see work/metrics.jsonl" in said
    assert mlflow.MlflowClient().get_run(run.run_id).info.status == "FINISHED"


def test_a_pod_that_has_to_go_does_not_wait_long(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_AFTER_FAILURE", 0.3)
    with pytest.raises(KeyboardInterrupt), step_run("train", run_key="k1", experiment="faces") as run:
        with monkeypatch.context() as broken:
            broken.setattr(mlflow.MlflowClient, "log_batch", gone)
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt), AsyncLogger(run, "there") as logger:
                logger.point({"loss": 1.0}, 1)
                raise KeyboardInterrupt
            assert time.monotonic() - began < 2
        raise KeyboardInterrupt
    assert mlflow.MlflowClient().get_run(run.run_id).info.status == "KILLED"


def test_nobody_waits_for_a_slow_server_and_no_more_is_kept_than_there_is_room_for(
    tracking_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = threading.Event()
    with (
        step_run("train", run_key="k1", experiment="faces") as run,
        AsyncLogger(run, "there", memory_limit=1000) as logger,
    ):
        logger.call("request", lambda: answered.wait(30))
        began = time.monotonic()
        for step in range(10):
            logger.point({"loss": float(step)}, step)
        assert time.monotonic() - began < 0.5
        answered.set()
    assert curve(run.run_id) == [(step, float(step)) for step in range(5)]  # 200 bytes each
    assert "not logged to MLflow: 5 curve points (too many items were waiting); see there" in capsys.readouterr().err


def test_what_mlflow_refuses_does_not_hold_up_the_rest(tracking_uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    with step_run("train", run_key="k1", experiment="faces") as run, AsyncLogger(run, "there") as logger:
        logger.call("list of tags", lambda: run.set_tags({"a tag = no tag": "x"}))
        logger.call("file", lambda: run.log_artifacts(Path("there is none")))
        logger.point({"loss": 1.0}, 1)
    assert curve(run.run_id) == [(1, 1.0)]
    assert "not logged to MLflow: 1 list of tags, 1 file" in capsys.readouterr().err


def test_mlflows_own_patience_is_restored(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    with step_run("train", run_key="k1", experiment="faces") as run, AsyncLogger(run, "there"):
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
