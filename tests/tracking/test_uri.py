"""Passwords in tracking URIs: moved to the environment at once, never shown."""

from __future__ import annotations

import os

import mlflow
import pytest

from faceforge.tracking.connection import connect
from faceforge.tracking.uri import credentials_to_environment, full_uri, has_password, without_password
from tests.tracking.servers import mlflow_server


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://bob:s3cret@mlflow:5000/base", "http://bob:***@mlflow:5000/base"),
        ("postgresql+psycopg2://mlflow:p@ss:w0rd@db/mlflow", "postgresql+psycopg2://mlflow:***@db/mlflow"),
        ("http://bob@mlflow:5000", "http://bob@mlflow:5000"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("sqlite:////home/ada/mlflow.db", "sqlite:////home/ada/mlflow.db"),
    ],
)
def test_a_password_is_masked_up_to_the_last_at_sign(uri: str, shown: str) -> None:
    assert without_password(uri) == shown
    assert has_password(uri) == (uri != shown)


def test_credentials_move_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " http://ada:p%40ss%3A1@mlflow:5000/ \n")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token\n")
    assert credentials_to_environment(full_uri()) == "http://mlflow:5000"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("ada", "p@ss:1")
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token"
    database = "postgresql://mlflow:secret@db/mlflow"
    assert credentials_to_environment(database) == database, "a database needs them in the address"


def test_a_server_reached_with_a_password_is_known_without_it(
    tracking_uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with mlflow_server("--backend-store-uri", tracking_uri, env={}) as url:
        address = url.replace("://", "://bob:S3CRET@")
        assert connect(address) == url
        assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == url
        with mlflow.start_run():
            pass
    printed = capfd.readouterr()
    assert "S3CRET" not in printed.out + printed.err
