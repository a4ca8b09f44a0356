"""Submission over HTTP, against a SIMULATED Kubeflow Pipelines server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import pipeline


@dataclass
class SimulatedServer:
    """SIMULATED API server, the few addresses that submission uses: what was sent, and what is to be answered.

    Attributes:
        states: what `GET run` answers, one after the other; the last one stays. An int is answered as HTTP status.
        token: if set, requests without it are refused with 401.
        submitted: bodies of `POST runs`.
        experiments: names of the experiments created.
    """

    url: str = ""
    states: list[str | int] = field(default_factory=lambda: ["SUCCEEDED"])
    token: str = ""
    error: str = ""
    submitted: list[dict[str, Any]] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    polls: int = 0

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a request."""
        resource = path.removeprefix("/apis/v2beta1/").split("/")
        if resource[0] == "healthz":
            return 200, {"multi_user": False}
        if resource[0] == "experiments":
            if method == "POST":
                self.experiments.append(body["display_name"])
                return 200, {"experiment_id": "e-1", **body}
            return 200, {}
        if resource[0] == "runs" and method == "POST":
            self.submitted.append(body)
            return 200, {"run_id": "r-1", "display_name": body["display_name"], "state": "PENDING"}
        if resource == ["runs", "r-1"]:
            state = self.states[min(self.polls, len(self.states) - 1)]
            self.polls += 1
            if isinstance(state, int):
                return state, {"error": "simulated"}
            run: dict[str, Any] = {"run_id": "r-1", "state": state}
            return 200, {**run, "error": {"message": self.error}} if self.error else run
        return 404, {"error": f"simulated server does not know {method} {path}"}


@contextmanager
def simulated_server() -> Iterator[SimulatedServer]:
    """A server on a free port of this machine."""
    server = SimulatedServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                status, content = 401, {"error": "unauthorised"}
            else:
                status, content = server.answer(self.command, urlsplit(self.path).path, body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimulatedServer]:
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp keeps a context file there
    with simulated_server() as running:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.url)
        yield running


def submit(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["submit", "--every", "0.01", *arguments])


def assert_one_error(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert result.output.rstrip().endswith(line)
    for part in parts:
        assert part in line


def test_the_pipeline_and_its_parameters_arrive(server: SimulatedServer) -> None:
    server.states = ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
    result = submit("--source", "/data/faces", "--set", "train.kimg=20", "--preset", "faces64", "--experiment", "e")
    assert result.exit_code == 0, result.output
    (run,) = server.submitted
    assert server.experiments == ["e"]
    parameters = run["runtime_config"]["parameters"]
    assert parameters["source"] == "/data/faces"
    assert parameters["settings"] == "train.kimg=20"
    assert parameters["preset"] == "faces64"
    assert parameters["run_key"]
    assert "checkpoint_root" not in parameters, "the compiled file knows whether there is a volume"
    assert set(run["pipeline_spec"]["root"]["dag"]["tasks"]) >= {"ingest", "register"}
    states = [line.split(" · ")[1] for line in result.output.splitlines() if line.startswith("r-1")]
    assert states == ["pending", "running", "succeeded"]


def test_every_submission_has_a_run_key_of_its_own_unless_told(server: SimulatedServer) -> None:
    for arguments in ([], [], ["--run-key", "again-1"]):
        assert submit("--detach", *arguments).exit_code == 0
    first, second, third = (run["runtime_config"]["parameters"]["run_key"] for run in server.submitted)
    assert first != second
    assert third == "again-1"


def test_detached_submission_does_not_wait(server: SimulatedServer) -> None:
    server.states = ["RUNNING"]
    assert submit("--detach").output == "submitted r-1\n"
    assert server.polls == 0


def test_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    assert_one_error(submit(), "no Kubeflow Pipelines endpoint", "KF_PIPELINES_ENDPOINT", "make run")


def test_refused_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert_one_error(submit("--endpoint", f"http://127.0.0.1:{port}"), f"127.0.0.1:{port}", "connection refused")


def test_not_an_address() -> None:
    assert_one_error(submit("--endpoint", "ftp://x"), "not an http(s) address")


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SKIPPED"])
def test_a_run_that_does_not_succeed_is_an_error(server: SimulatedServer, state: str) -> None:
    server.states, server.error = ["RUNNING", state], "train: out of memory"
    assert_one_error(submit(), f"ended {state}: train: out of memory")


def test_a_short_absence_of_the_server_is_survived(server: SimulatedServer) -> None:
    server.states = ["RUNNING", 500, 502, "SUCCEEDED"]
    assert submit().exit_code == 0


def test_a_lasting_absence_is_an_error(server: SimulatedServer) -> None:
    server.states = ["RUNNING", 500]
    assert_one_error(submit(), "polling", "500")
    assert server.polls == 6


def test_a_time_limit_ends_watching_only(server: SimulatedServer) -> None:
    server.states = ["RUNNING"]
    assert_one_error(submit("--timeout", "0.1"), "still running", "goes on in the cluster")


def test_a_token_is_asked_for_and_sent(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "s3cret"
    assert_one_error(submit(), "401", "KF_PIPELINES_TOKEN")
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "s3cret")
    assert submit().exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "preset 'huge' does not exist"),
        (["--set", "train.kimgs=2"], "did you mean 'train.kimg'"),
        (["--model-name", "a/b"], "model_name = 'a/b'"),
        (["--package", "/nowhere.yaml"], "/nowhere.yaml does not exist"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_sent(
    server: SimulatedServer, arguments: list[str], message: str
) -> None:
    assert_one_error(submit(*arguments), message)
    assert not server.submitted
    assert not server.experiments


def test_watch_follows_an_earlier_run(server: SimulatedServer) -> None:
    server.states = ["RUNNING", "CANCELED"]
    assert_one_error(CliRunner().invoke(pipeline, ["watch", "r-1", "--every", "0.01"]), "ended CANCELED")


def test_watch_of_an_unknown_run(server: SimulatedServer) -> None:
    assert_one_error(CliRunner().invoke(pipeline, ["watch", "r-9", "--every", "0.01"]), "404")
