"""The doctor's checks of MLflow that need no server; those that do are in tests/tracking/test_server.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceforge.doctor import mlflow as doctor


def test_half_a_pair_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    found = doctor.credentials()
    assert (found.status, found.remedy) == ("problem", "set MLFLOW_TRACKING_PASSWORD too")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    assert (doctor.credentials().status, "secret" in doctor.credentials().message) == ("ok", False)


def test_a_database_that_the_first_run_will_make(tmp_path: Path) -> None:
    found = list(doctor.checks(f"sqlite:///{tmp_path}/new/mlflow.db", "faces", "faces"))
    assert [finding.status for finding in found[1:]] == ["skipped"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("holiday plans, " * 500)
    found = doctor.reach(f"sqlite:///{tmp_path}/mlflow.db")
    assert (found.status, "is unreadable" in found.message, bool(found.remedy)) == ("problem", True, True)


@pytest.mark.parametrize(
    "server, status", [("3.1.0", "warning"), ("2.22.0", "problem"), ("3.99.0", "ok"), ("<html>", "warning")]
)
def test_versions_that_suit_each_other(server: str, status: str) -> None:
    assert doctor._compared("http://mlflow:5000", server).status == status
