"""Submission over HTTP, against a SIMULATED Kubeflow Pipelines server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline
from pipelines.cluster.submit import SubmittedRun
from pipelines.definition.compile import COMMITTED
from pipelines.definition.definitions import TRAINING
from pipelines.definition.parameters import run_parameters
from tests.pipelines.kfp_server import SimulatedServer


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
    assert [one["display_name"] for one in server.experiments.values()] == ["e"]
    parameters = run["runtime_config"]["parameters"]
    assert parameters["source"] == "/data/faces"
    assert parameters["settings"] == "train.kimg=20"
    assert parameters["preset"] == "faces64"
    assert parameters["run_key"]
    assert "checkpoint_root" not in parameters, "the compiled file knows whether there is a volume"
    states = [line.split(" · ")[1] for line in result.output.splitlines() if line.startswith("r-1")]
    assert states == ["pending", "running", "succeeded"]
    assert f"{server.url}/#/runs/details/r-1" in result.output
    assert re.search(rf"MLflow .* experiment e · run {parameters['run_key']}", result.output)


def test_the_version_is_named_by_revision_and_file(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("faceforge.tracking.revision.code_revision", lambda: "0123456789abcdef0123-dirty")
    other = tmp_path / "other.yaml"
    other.write_text(COMMITTED.read_text().replace("image: ", "image: other/"))
    for arguments in ([], [], ["--package", str(other)]):
        assert submit("--detach", *arguments).exit_code == 0
    first, second, third = (run["pipeline_version_reference"]["pipeline_version_id"] for run in server.submitted)
    assert first == second, "the same file is uploaded once"
    assert third != first
    names = [version["display_name"] for version in server.versions.values()]
    assert all(re.fullmatch(r"0123456789ab-dirty-[0-9a-f]{8}", name) for name in names)
    spec, platform = yaml.safe_load_all(COMMITTED.read_text())
    assert server.versions[first]["pipeline_spec"] == {"pipeline_spec": spec, "platform_spec": platform}
    assert [one["display_name"] for one in server.pipelines.values()] == ["faceforge"]


@pytest.mark.parametrize(
    ("call", "failure"), [(call, failure) for call in range(4) for failure in ("cut before", "cut after")][:-1]
)
def test_an_interrupted_submission_is_an_error_and_can_be_repeated(
    server: SimulatedServer, call: int, failure: str
) -> None:
    server.fail_at, server.failure = call, failure
    assert_one_error(submit("--detach"))
    server.fail_at = None
    assert submit("--detach").exit_code == 0
    assert len(server.pipelines) == len(server.versions) == len(server.experiments) == 1


def test_a_run_whose_creation_was_not_confirmed_is_found_by_its_key(server: SimulatedServer) -> None:
    server.fail_at, server.failure, server.lasting = 3, "cut after", False
    result = submit("--detach")
    assert result.exit_code == 0, result.output
    assert "submitted r-1" in result.output
    assert len(server.submitted) == 1


def test_two_unfinished_runs_never_share_a_run_key(server: SimulatedServer) -> None:
    assert submit("--detach", "--run-key", "same").exit_code == 0
    assert_one_error(submit("--detach", "--run-key", "same"), "run r-1 with this run key is in progress", "watch r-1")
    server.runs["r-1"]["state"] = "FAILED"
    assert submit("--detach", "--run-key", "same").exit_code == 0


def test_every_submission_has_its_own_run_key_unless_given(server: SimulatedServer) -> None:
    for arguments in ([], [], ["--run-key", "again-1"]):
        assert submit("--detach", *arguments).exit_code == 0
    first, second, third = (run["runtime_config"]["parameters"]["run_key"] for run in server.submitted)
    assert first != second
    assert third == "again-1"


def test_detached_submission_does_not_wait(server: SimulatedServer) -> None:
    server.states = ["RUNNING"]
    assert submit("--detach").output.startswith("submitted r-1\n")
    assert server.polls == 0


def test_a_package_that_does_not_take_the_parameters_is_refused(server: SimulatedServer, tmp_path: Path) -> None:
    spec = next(yaml.safe_load_all(COMMITTED.read_text()))
    del spec["root"]["inputDefinitions"]["parameters"]["preset"]
    old = tmp_path / "old.yaml"
    old.write_text(yaml.safe_dump(spec))
    assert_one_error(submit("--package", str(old)), "has no parameter preset", "compile it again")
    old.write_text("- nonsense")
    assert_one_error(submit("--package", str(old)), "is not a compiled pipeline")
    assert not server.calls


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
    server.states, server.error = ["RUNNING", state], "out of memory"
    server.tasks = [{}, {"train": "FAILED"}]
    assert_one_error(submit(), f"ended {state} in train: out of memory")


def test_steps_are_followed_live(server: SimulatedServer) -> None:
    server.states = ["RUNNING", "RUNNING", "SUCCEEDED"]
    server.tasks = [
        {"root": "RUNNING", "ingest-driver": "SUCCEEDED", "ingest": "RUNNING"},
        {"root": "RUNNING", "ingest": "SUCCEEDED", "augment": "RUNNING"},
        {"root": "SUCCEEDED", "ingest": "SUCCEEDED", "augment": "SUCCEEDED"},
    ]
    lines = [line.split(" · ")[0].split() for line in submit().output.splitlines() if line.startswith("  ")]
    steps = [line for line in lines if line[0] in TRAINING.steps]
    assert steps == [
        ["ingest", "running"],
        ["ingest", "succeeded"],
        ["augment", "running"],
        ["augment", "succeeded"],
    ]


@pytest.mark.parametrize(("cancel", "code", "state"), [(False, 130, "RUNNING"), (True, 2, "FAILED")])
def test_ctrl_c_stops_watching_or_cancels(
    server: SimulatedServer, tmp_path: Path, cancel: bool, code: int, state: str
) -> None:
    server.states = ["RUNNING"]
    command = [
        sys.executable,
        "-m",
        "pipelines.cli.pipeline",
        "submit",
        "--every",
        "0.05",
        *(["--cancel"] if cancel else []),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while server.polls < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == code, output
    assert server.runs["r-1"]["state"] == state
    assert "Traceback" not in output
    assert ("ended FAILED because it was terminated" if cancel else "the run goes on") in output


def test_a_missing_token_is_reported_and_a_token_sent(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "s3cret"
    assert_one_error(submit(), "401", "KF_PIPELINES_TOKEN")
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "s3cret")
    assert submit().exit_code == 0


def test_a_mounted_service_account_token_is_sent(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret")
    server.token = "s3cret"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    assert submit().exit_code == 0


def test_several_users(server: SimulatedServer) -> None:
    server.multi_user, server.forbidden = True, {"theirs"}
    assert_one_error(submit("--namespace", "theirs"), "forbidden (403)", "--namespace")
    assert submit("--namespace", "faces", "--service-account", "editor").exit_code == 0
    assert server.submitted[0]["service_account"] == "editor"
    assert next(iter(server.experiments.values()))["namespace"] == "faces"
    assert next(iter(server.pipelines.values()))["namespace"] == "faces"


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
    assert submit("--detach").exit_code == 0
    server.states = ["RUNNING", "CANCELED"]
    assert_one_error(CliRunner().invoke(pipeline, ["watch", "r-1", "--every", "0.01"]), "ended CANCELED")


def test_watch_of_an_unknown_run(server: SimulatedServer) -> None:
    assert_one_error(CliRunner().invoke(pipeline, ["watch", "r-9", "--every", "0.01"]), "404")


def test_runs_are_listed_retried_and_terminated(server: SimulatedServer) -> None:
    for _ in range(3):
        assert submit("--detach").exit_code == 0
    runner = CliRunner()
    lines = runner.invoke(pipeline, ["runs", "--limit", "2"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["r-3", "r-2"]
    assert_one_error(runner.invoke(pipeline, ["retry", "r-1"]), "has not failed")
    assert runner.invoke(pipeline, ["terminate", "r-1"]).exit_code == 0
    assert server.runs["r-1"]["state"] == "CANCELING"
    server.runs["r-2"]["state"] = "FAILED"
    assert runner.invoke(pipeline, ["retry", "r-2"]).exit_code == 0
    assert server.runs["r-2"]["state"] == "RUNNING"
    assert_one_error(runner.invoke(pipeline, ["terminate", "r-9"]), "404")


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://mlflow.faceforge:5000"),
        ({"MLFLOW_TRACKING_URI": "http://ann:secret@localhost:5000"}, "http://localhost:5000"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, "http://mlflow.faceforge:5000"),
        (
            {"MLFLOW_TRACKING_URI": "http://localhost:5000", "FACEFORGE_MLFLOW_URL": "https://mlflow.example"},
            "https://mlflow.example",
        ),
    ],
)
def test_the_printed_address_of_mlflow_is_one_for_people(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    run = SubmittedRun("r-1", "key", "v", "page")
    parameters = run_parameters(tracking_uri="http://mlflow.faceforge:5000")
    assert list(run.lines(parameters))[-1] == f"  MLflow    {address} · experiment faceforge · run key"
