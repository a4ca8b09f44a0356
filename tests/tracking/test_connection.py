from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from faceforge.errors import FaceForgeError, UnavailableError
from faceforge.tracking.connection import connect, full_uri, readable
from faceforge.tracking.run_writer import Point
from faceforge.tracking.runs import finish_parent, step_run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


def test_racing_steps_share_a_fresh_database_and_one_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from faceforge.tracking.runs import connect, step_run; connect(sys.argv[1])\n"
        "with step_run(sys.argv[2], run_key='k1', experiment='faces') as run: print(run.parent_id)"
    )
    uri = f"sqlite:///{tmp_path}/a folder/mlflow.db"
    racers = [
        subprocess.Popen([sys.executable, "-c", code, uri, step], stdout=subprocess.PIPE, text=True)
        for step in ("left", "right")
    ]
    parents = {racer.communicate(timeout=180)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(parents) == 1
    assert os.listdir(tmp_path / "a folder") == ["mlflow.db"]
    assert connect(uri) == uri
    assert mlflow.get_experiment("0").artifact_location == f"{tmp_path}/a folder/mlartifacts/0"
    assert len(mlflow.search_runs(experiment_names=["faces"])) == 3


def test_relative_files_are_meant_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert full_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000/")
    assert full_uri() == "http://tracker:5000"


@pytest.mark.parametrize(
    "uri, told",
    [
        ("http://127.0.0.1:{port}", "connection refused"),
        ("postgresql://me:secret@127.0.0.1:{port}/mlflow", "connection refused"),
        ("./mlruns", "not supported; use sqlite:///mlflow.db"),
        ("sqlite://mlflow.db", "names no file"),
    ],
)
def test_what_does_not_answer_is_told_in_one_line(uri: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(FaceForgeError) as caught:
        connect(uri.format(port=free_port()))
    message = str(caught.value)
    assert told in message
    assert "\n" not in message
    assert "secret" not in message
    assert time.monotonic() - began < 10


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceforge.tracking.connection._CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(FaceForgeError, match="no answer in time"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceforge.tracking.connection._CONNECT_SECONDS", 1)
    ended = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(0.1):
                    self.wfile.write(b" ")

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="no answer in time"):
            connect(f"http://127.0.0.1:{server.server_port}")
        assert time.monotonic() - began < 5
        ended.set()
        server.shutdown()


def test_a_file_that_is_no_database_is_refused_at_once_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("holiday plans, " * 500)
    with pytest.raises(FaceForgeError, match=r"mlflow\.db is unreadable .*not a database"):
        connect(f"sqlite:///{path}")
    assert path.read_text().startswith("holiday plans")


def test_readers_do_not_make_a_database(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="does not exist"):
        connect(f"sqlite:///{tmp_path}/mlflow.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_real_server_opened_on_the_database_of_local_steps_shows_and_continues_them(
    tracking_uri: str, tmp_path: Path
) -> None:
    with step_run("train", run_key="k1", experiment="faces") as local:
        local.log_points([Point({"loss/generator": 0.5}, 64, at=1)])
        local.log_image(np.zeros((8, 8, 3), np.uint8), key="samples", step=64)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", tracking_uri, "--default-artifact-root", str(tmp_path / "mlartifacts")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # starts sooner
    with subprocess.Popen(command, env=env, **quiet) as server:  # type: ignore[call-overload]
        try:
            uri = f"http://127.0.0.1:{port}"
            _wait_until_healthy(uri, server)
            connect(uri)
            with step_run("train", run_key="k1", experiment="faces") as remote:
                remote.log_points([Point({"loss/generator": 0.4}, 128, at=1)])
            finish_parent("k1", "FINISHED")
            assert (remote.run_id, remote.parent_id) == (local.run_id, local.parent_id)
            client = mlflow.MlflowClient()
            assert client.get_run(remote.parent_id).info.status == "FINISHED"
            history = client.get_metric_history(remote.run_id, "loss/generator")
            assert [(point.step, point.value) for point in history] == [(64, 0.5), (128, 0.4)]
            image = next(file.path for file in client.list_artifacts(remote.run_id, "images") if ".png" in file.path)
            shown = f"{uri}/get-artifact?run_uuid={remote.run_id}&path={quote(image, safe='')}"  # as the UI asks
            with urllib.request.urlopen(shown, timeout=10) as answer:
                assert answer.read().startswith(b"\x89PNG")
        finally:
            os.killpg(server.pid, 15)


def _wait_until_healthy(uri: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(900):
        assert server.poll() is None, "the server died"
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server never became healthy")


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (OSError("[Errno 111] Connection refused"), True),
        (OSError("HTTPConnectionPool(host='m', port=5000): Read timed out. (read timeout=8)"), True),
        (MlflowException("API request to endpoint /api failed with error code 503 != 200. Response body: ''"), True),
        (MlflowException("Max retries exceeded (NewConnectionError('[Errno 113] No route to host'))"), True),
        (MlflowException("Max retries exceeded (Caused by ResponseError('too many 500 error responses'))"), True),
        (MlflowException("INTERNAL_ERROR: could not reach the object store"), True),
        (MlflowException("API request to endpoint /api failed with error code 401 != 200"), False),
        (OSError("Failed to resolve 'mlfow' ([Errno -2] Name or service not known)"), False),
        (PermissionError(13, "Permission denied"), False),
    ],
)
def test_errors_that_may_pass_are_told_from_those_that_stay(error: Exception, temporary: bool) -> None:
    with pytest.raises(FaceForgeError) as caught, readable("MLflow"):
        raise error
    assert isinstance(caught.value, UnavailableError) is temporary
