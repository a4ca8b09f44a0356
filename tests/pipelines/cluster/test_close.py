"""Ending MLflow runs of finished pipeline runs: a SIMULATED Kubeflow Pipelines server and a real MLflow database."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline
from tests.pipelines.kfp_server import SimulatedServer


def close(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["close", *arguments])


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
