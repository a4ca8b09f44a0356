"""Ending MLflow runs of finished pipeline runs: a SIMULATED Kubeflow Pipelines server and a real MLflow database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline
from tests.pipelines.argo import step_node, workflow
from tests.pipelines.kfp_server import SimulatedServer
from tests.tracking.servers import mlflow_server


def close(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["close", *arguments])


def mlflow_with_running(uri: str, **jobs: str) -> str:
    """An MLflow with a run per keyword, still RUNNING: key = id on the Kubeflow server. Returns its full address."""
    from faceforge.tracking.connection import connect
    from faceforge.tracking.runs import step_run

    address = connect(uri)
    for key, job in jobs.items():
        with step_run("ingest", run_key=key, experiment="faceforge") as run:
            run.headline(tags={"faceforge.pipeline_job": job} if job else {})
    return address


def test_runs_that_have_ended_are_closed_and_no_others(server: SimulatedServer, tmp_path: Path) -> None:
    from faceforge.tracking.closing import run_status

    # `local` was no run on a cluster, `another` is one of another Kubeflow that shares this MLflow.
    jobs = {"dead": "r-1", "alive": "r-2", "another": "r-77", "local": ""}
    uri = mlflow_with_running(f"sqlite:///{tmp_path}/mlflow.db", **jobs)
    server.runs |= {run: {"run_id": run, "state": "RUNNING"} for run in ("r-1", "r-2")}
    server.states_of = {"r-1": "FAILED", "r-2": "RUNNING"}
    assert close("--tracking-uri", uri).output == "MLflow run dead: failed\n"
    assert {key: run_status(key) for key in jobs} == {**dict.fromkeys(jobs, "RUNNING"), "dead": "FAILED"}
    assert close("--tracking-uri", uri).output == "no such run\n"


def test_runs_whose_workflow_was_deleted_are_closed(
    server: SimulatedServer, kubernetes: dict[str, str], deleted_workflows: set[str], tmp_path: Path
) -> None:
    uri = mlflow_with_running(f"sqlite:///{tmp_path}/mlflow.db", deleted="r-1")
    server.runs |= {run: {"run_id": run, "state": "RUNNING"} for run in ("r-0", "r-1")}
    server.states, server.workflow = ["RUNNING"], workflow(step_node("train", "Running", 2))
    assert close("--tracking-uri", uri).output == "no such run\n"
    deleted_workflows.add("faceforge-x")
    assert close("--tracking-uri", uri).output == "MLflow run deleted: failed\n"


def test_the_next_submission_closes_them(
    server: SimulatedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceforge.tracking.closing import run_status

    server.runs["r-9"] = {"run_id": "r-9", "state": "RUNNING"}
    server.states_of = {"r-9": "FAILED"}
    with mlflow_server("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", env={}) as url:
        mlflow_with_running(url, dead="r-9")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        submitted = CliRunner().invoke(pipeline, ["submit", "--detach"])
        assert submitted.exit_code == 0, submitted.output
        assert "run dead had ended and was still RUNNING in MLflow; it is FAILED there now" in submitted.output
        assert run_status("dead") == "FAILED"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    without = CliRunner().invoke(pipeline, ["submit", "--detach"])
    assert without.exit_code == 0
    assert "warning: runs that stayed RUNNING in MLflow were not ended: MLflow at http://127.0.0.1:9" in without.output


def test_a_run_that_close_has_missed_is_ended(server: SimulatedServer, tmp_path: Path) -> None:
    from faceforge.tracking.closing import run_status
    from faceforge.tracking.connection import connect
    from faceforge.tracking.runs import step_run

    uri = connect(f"sqlite:///{tmp_path}/mlflow.db")
    with step_run("ingest", run_key="key-1", experiment="faceforge"):
        pass
    assert run_status("key-1") == "RUNNING"
    server.runs["r-1"] = {"run_id": "r-1", "runtime_config": {"parameters": {"run_key": "key-1"}}, "state": "RUNNING"}
    server.states = ["RUNNING", "FAILED"]
    early = close("r-1", "--tracking-uri", uri)
    assert (early.exit_code, "run r-1 is still running" in early.output) == (2, True)
    assert close("r-1", "--tracking-uri", uri).output == "MLflow run key-1: failed\n"
    assert run_status("key-1") == "FAILED"
    server.runs["r-2"] = {"run_id": "r-2", "state": "FAILED"}
    assert close("r-2", "--tracking-uri", uri).output == "MLflow has no run r-2\n"
