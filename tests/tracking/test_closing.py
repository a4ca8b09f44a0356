from __future__ import annotations

import pytest

from faceforge.steps.close import run_close
from faceforge.steps.tracked import Tracking
from faceforge.tracking.closing import close_run, run_status
from faceforge.tracking.runs import connect, finish_parent, step_run
from faceforge.tracking.tags import FAILURE_TAG


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return connect(f"sqlite:///{tmp_path_factory.mktemp('closing') / 'mlflow.db'}")


def parent(key: str) -> tuple[str, str]:
    """Status of the parent, and why it has failed."""
    from mlflow import MlflowClient

    client = MlflowClient()
    experiments = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(
        experiments, f"tags.`faceforge.role` = 'pipeline' and tags.`faceforge.run_key` = '{key}'"
    )
    return run.info.status, run.data.tags.get(FAILURE_TAG, "")


def test_a_killed_step_is_told_by_name(uri: str) -> None:
    from mlflow import MlflowClient

    with step_run("ingest", run_key="killed", experiment="e"):
        pass
    with step_run("train", run_key="killed", experiment="e") as train:
        pass
    MlflowClient().update_run(train.run_id, status="RUNNING")  # as a killed process leaves it
    assert run_status("killed") == "RUNNING"
    assert close_run("killed") == "FAILED"
    assert parent("killed") == ("FAILED", "train: ended without an error message: killed, evicted, or out of memory")
    assert MlflowClient().get_run(train.run_id).info.status == "FAILED"
    assert close_run("killed") == "FAILED", "twice does no harm"


def test_a_step_that_never_ran(uri: str) -> None:
    with step_run("ingest", run_key="stuck", experiment="e"):
        pass
    assert close_run("stuck") == "FAILED"
    assert "could not be started" in parent("stuck")[1]


def test_what_ended_by_itself_is_left_as_it_is(uri: str) -> None:
    with step_run("register", run_key="good", experiment="e"):
        pass
    finish_parent("good", "FINISHED")
    assert close_run("good") == "FINISHED"
    assert parent("good") == ("FINISHED", "")


def test_a_reason_that_a_step_gave_stays(uri: str) -> None:
    with pytest.raises(ValueError, match="no faces"), step_run("train", run_key="bad", experiment="e"):
        raise ValueError("no faces")
    assert close_run("bad") == "FAILED"
    assert parent("bad") == ("FAILED", "ValueError: no faces")


def test_a_run_that_was_never_begun_and_a_server_that_is_away(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert close_run("other") == run_status("other") == ""
    run_close(tracking=Tracking(uri, "e", "other"))
    assert "was never begun" in capsys.readouterr().out
    run_close(tracking=Tracking("http://127.0.0.1:9", "e", "other"))
    assert "could not be ended" in capsys.readouterr().err
