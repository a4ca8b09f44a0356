"""Versions and their runs are found by a few requests, however many there are."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

from faceforge.cli.main import main
from faceforge.errors import FaceForgeError
from faceforge.tracking import comparison, versions
from faceforge.tracking.comparison import key_metrics
from faceforge.tracking.runs import finish_parent, step_run
from faceforge.tracking.tags import PARENT_RUN_TAG
from faceforge.tracking.versions import find_version, list_versions

NAME, COUNT = "faces", 5


@pytest.fixture
def parents(tracking_uri: str, tmp_path: Path) -> list[str]:
    """Ids of the pipeline runs of five versions."""
    client, ids = mlflow.MlflowClient(), []
    client.create_registered_model(NAME)
    for number in range(COUNT):
        with step_run("evaluate", run_key=f"k{number}", experiment=f"e{number % 2}") as run:
            run.headline(metrics={"domain/frechet": float(number)})
        finish_parent(f"k{number}", "FINISHED")
        client.create_model_version(NAME, str(tmp_path), tags={PARENT_RUN_TAG: run.parent_id})
        ids.append(run.parent_id)
    return ids


def test_metrics_of_all_versions_need_no_request_per_version(
    parents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_AT_ONCE", 2)
    monkeypatch.setattr(mlflow.MlflowClient, "get_run", None)
    found = key_metrics(list_versions(NAME))
    assert found == {str(number + 1): {"domain/frechet": float(number)} for number in range(COUNT)}


def test_the_list_is_limited(parents: list[str], tracking_uri: str) -> None:
    command = ["registry", "list", "--name", NAME, "--tracking-uri", tracking_uri]
    shown = CliRunner().invoke(main, [*command, "--limit", "2"]).output.splitlines()
    assert [line.split()[0] for line in shown[-3:-1]] == ["5", "4"]
    assert shown[-1] == "3 older versions are not shown; --limit 5 shows all"
    assert "not shown" not in CliRunner().invoke(main, command).output


def test_a_version_without_a_run_has_no_metrics(parents: list[str], tmp_path: Path) -> None:
    mlflow.MlflowClient().delete_run(parents[1])
    mlflow.MlflowClient().create_model_version(NAME, str(tmp_path))
    found = key_metrics(list_versions(NAME))
    assert found["2"] == found[str(COUNT + 1)] == {}
    assert found["3"] == {"domain/frechet": 2.0}


def test_a_version_is_read_by_itself(parents: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_NAMED", 2)
    for version in ("77", "9" * 30, "champion"):
        with pytest.raises(FaceForgeError, match=rf"no version '{version}'; versions: \.\.\., 4, 5"):
            find_version(NAME, version)
    monkeypatch.setattr(versions, "all_versions", None)
    assert find_version(NAME, "4").tags[PARENT_RUN_TAG] == parents[3]
