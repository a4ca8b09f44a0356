"""Everything that a run needs of MLflow is checked before its first step: on real servers and databases."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from faceforge.errors import FaceForgeError
from faceforge.tracking import databases
from faceforge.tracking.artifacts import check_artifacts
from faceforge.tracking.connection import connect
from faceforge.tracking.preflight import check_model_name, check_server_version, check_tracking
from tests.tracking.servers import S3_KEYS, free_port, mlflow_server, proxy, s3

RESOLVER = """
import os, socket
real = socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    if host == "objectstore" and "KNOWS_OBJECTSTORE" in os.environ:
        host = "127.0.0.1"
    return real(host, *rest, **named)
socket.getaddrinfo = getaddrinfo
"""


def test_a_database_of_ones_own_needs_nothing_more(tracking_uri: str, tmp_path: Path) -> None:
    assert check_tracking(tracking_uri, "faces", "photos") == tracking_uri
    assert not [path for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()], "the check leaves no file"


@pytest.mark.parametrize("name", ["bob's faces", "50% faces", 'a"b', "a/b", "a:b", "a.b", "", "  ", "x" * 300, "a\nb"])
def test_names_that_mlflow_refuses_later_are_refused_now(name: str, tracking_uri: str) -> None:
    with pytest.raises(FaceForgeError, match="model name") as caught:
        check_tracking(tracking_uri, "faces", name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["photos", "my faces", "写真", "faces_v2-b"])
def test_names_that_mlflow_takes_are_taken(name: str, tracking_uri: str) -> None:
    check_model_name(name)
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    assert client.search_registered_models(f"name='{name}'")


def test_an_old_server_is_refused() -> None:
    check_server_version(mlflow.__version__)
    with pytest.raises(FaceForgeError, match=r"version 2.22.0, this client .*; upgrade the server"):
        check_server_version("2.22.0")
    with pytest.raises(FaceForgeError, match="a login page"):
        check_server_version("<!doctype html>")


def test_a_registry_elsewhere_is_refused(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://bob:secret@registry:5000")
    with pytest.raises(FaceForgeError, match="MLFLOW_REGISTRY_URI is http://bob") as caught:
        connect(tracking_uri)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", tracking_uri)
    connect(tracking_uri)


def test_a_left_over_run_id_is_reported_or_refused(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(FaceForgeError, match="MLFLOW_RUN_ID=0000"):
        check_tracking(tracking_uri, "faces")
    run = mlflow.MlflowClient().create_run("0", run_name="outer")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    check_tracking(tracking_uri, "faces")
    assert "this run is logged under outer" in capsys.readouterr().err


def test_databases_of_newer_and_older_versions_are_told_apart(tracking_uri: str, tmp_path: Path) -> None:
    for revision, advice in (
        ("f00dfeedbeef", "written by a newer MLflow"),
        ("0584bdc529eb", "then run: mlflow db upgrade"),
    ):
        other = tmp_path / f"{revision}.db"
        shutil.copy(tracking_uri.removeprefix("sqlite:///"), other)
        with sqlite3.connect(other) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        with pytest.raises(FaceForgeError, match=advice) as caught:
            connect(f"sqlite:///{other}")
        assert "\n" not in str(caught.value)


def test_a_locked_database_is_waited_for_and_then_its_holder_is_named(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tracking_uri.removeprefix("sqlite:///")
    code = (
        f"import sqlite3; base = sqlite3.connect({path!r}, isolation_level=None); base.execute('BEGIN EXCLUSIVE'); "
        "print('locked', flush=True); input(); base.execute('COMMIT'); print('free', flush=True)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        monkeypatch.setattr(databases, "LOCK_SECONDS", 0.5)
        with pytest.raises(FaceForgeError, match=rf"is locked by python\S* \(process {holder.pid}\)"):
            connect(tracking_uri)
        assert "waiting for" in capsys.readouterr().err
        monkeypatch.setattr(databases, "LOCK_SECONDS", 60.0)
        holder.stdin.write("\n")
        holder.stdin.flush()
        connect(tracking_uri)
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(("account", "reason"), [("mlflow:p%40ss:w0rd", "refused"), ("mlflow:p@ss:w0rd", "refused")])
def test_a_dead_database_server_is_one_line_within_ten_seconds(account: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(FaceForgeError, match=reason) as caught:
        connect(f"postgresql+psycopg2://{account}@127.0.0.1:{free_port()}/mlflow")
    assert time.monotonic() - began < 10
    assert "w0rd" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_go_through_a_server_whose_store_only_the_server_can_reach(
    tmp_path: Path, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "sitecustomize.py").write_text(RESOLVER)
    with s3("faces") as store:
        port = store.rpartition(":")[2]
        env = {
            **S3_KEYS,
            "MLFLOW_S3_ENDPOINT_URL": f"http://objectstore:{port}",
            "KNOWS_OBJECTSTORE": "yes",
            "PYTHONPATH": os.pathsep.join([str(tmp_path / "names"), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        options = ("--backend-store-uri", tracking_uri, "--artifacts-destination", "s3://faces/runs")
        with mlflow_server(*options, env=env) as url:
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            began = time.monotonic()
            assert check_tracking(url, "behind the server", "photos") == url
            assert time.monotonic() - began < 30

            experiment = mlflow.MlflowClient().get_experiment_by_name("behind the server")
            # What a client does that takes the server at its word: the store's name means nothing to it.
            monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
            with pytest.raises(FaceForgeError, match="artifact store"):
                check_artifacts(experiment, url, seconds=5)


def test_a_store_that_nobody_reaches_is_one_line_within_thirty_seconds(tmp_path: Path, tracking_uri: str) -> None:
    env = {**S3_KEYS, "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    options = ("--backend-store-uri", tracking_uri, "--artifacts-destination", "s3://faces/runs")
    with mlflow_server(*options, env=env) as url:
        began = time.monotonic()
        with pytest.raises(FaceForgeError, match="artifact store mlflow-artifacts:") as caught:
            check_tracking(url, "nowhere", "photos")
        assert time.monotonic() - began < 30
        assert "\n" not in str(caught.value)


def test_an_upload_of_the_models_size_is_tried(tmp_path: Path, tracking_uri: str) -> None:
    store = ("--backend-store-uri", tracking_uri, "--artifacts-destination", str(tmp_path / "store"))
    with mlflow_server(*store, env={}) as server, proxy(server, 6 * 2**20) as url:
        assert check_tracking(url, "photos", "photos", file_bytes=5 * 2**20) == url
        began = time.monotonic()
        with pytest.raises(FaceForgeError, match=r"refuses a file of 8 MB, .*client_max_body_size") as caught:
            check_tracking(url, "photos", "photos", file_bytes=8 * 2**20)
        assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_files_on_the_servers_own_disk_are_refused(tmp_path: Path, tracking_uri: str) -> None:
    options = ("--backend-store-uri", tracking_uri, "--no-serve-artifacts")
    root = ("--default-artifact-root", "/no-such-disk/of-the-server/artifacts")
    refused = pytest.raises(FaceForgeError, match="out of reach here; start the server with --artifacts-destination")
    with mlflow_server(*options, *root, env={}) as url, refused:
        check_tracking(url, "there", "photos")


def test_files_that_the_server_does_not_find_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    from faceforge.tracking.artifacts import check_server_reads

    root = tmp_path / "files"
    options = ("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--default-artifact-root", str(root))
    with mlflow_server(*options, "--no-serve-artifacts", env={}) as url:
        connect(url)
        run = mlflow.MlflowClient().create_run("0")
        assert run.info.artifact_uri.startswith(("/", "file:"))
        check_server_reads(run.info.run_id)
        assert not [path for path in root.rglob("*") if path.is_file()]
        # SIMULATED: a client whose folder of that name lies on another disk.
        monkeypatch.setattr(LocalArtifactRepository, "log_artifact", lambda *_, **__: None)
        with pytest.raises(FaceForgeError, match="does not find the files that this machine writes"):
            check_server_reads(run.info.run_id)
