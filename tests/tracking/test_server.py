"""Steps, registry and doctor against an MLflow server as a cluster has it: PostgreSQL, S3 behind it, accounts, hosts.

The steps know the server's address and an account, and neither the database nor the bucket.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest

from faceforge.doctor import mlflow as doctor
from faceforge.errors import FaceForgeError
from faceforge.inference.registration import register_bundle
from faceforge.models.bundle import BundleInfo
from faceforge.models.spec import ModelSpec
from faceforge.tracking.connection import connect
from faceforge.tracking.lineage import lineage_of
from faceforge.tracking.promotion import history, promote, require_approval, rollback
from faceforge.tracking.run_writer import DatasetRef, Point
from faceforge.tracking.runs import finish_parent, step_run
from faceforge.tracking.versions import champion_bundle, list_versions
from tests.tracking.servers import S3_KEYS, client_keys, mlflow_server, postgres, s3

BUCKET, NAME = "faces", "faceforge"
ADMIN = ("admin", "a long password 1")
ACCOUNTS = importlib.util.find_spec("flask_wtf") is not None  # MLflow's accounts need it


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, str]]:
    with postgres() as database, s3(BUCKET) as bucket:
        import psycopg2  # type: ignore[import-untyped]

        for name in ("runs", "accounts"):
            link = psycopg2.connect(f"{database}/postgres")
            link.autocommit = True
            with link.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
            link.close()
        yield database, bucket


@pytest.fixture(scope="module")
def options(store: tuple[str, str]) -> list[str]:
    """Of every server on these stores."""
    # Without +psycopg2, SQLAlchemy looks for the third psycopg.
    database = store[0].replace("://", "+psycopg2://")
    return ["--backend-store-uri", f"{database}/runs", "--artifacts-destination", f"s3://{BUCKET}/runs"]


@pytest.fixture(scope="module")
def url(store: tuple[str, str], options: list[str]) -> Iterator[str]:
    with mlflow_server(*options, env={**S3_KEYS, "MLFLOW_S3_ENDPOINT_URL": store[1]}) as address:
        yield address


@contextmanager
def guarded_server(store: tuple[str, str], options: list[str], folder: Path) -> Iterator[str]:
    """A second server on the same stores that asks for accounts: not the only one, since it hashes at every request."""
    database = store[0].replace("://", "+psycopg2://")
    config = folder / "accounts.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\nadmin_username = {ADMIN[0]}\nadmin_password = {ADMIN[1]}\n"
        f"database_uri = {database}/accounts\nauth_cache_ttl_seconds = 60\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {
        **S3_KEYS,
        "MLFLOW_S3_ENDPOINT_URL": store[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "tests",
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
    }
    with mlflow_server(*options, "--app-name", "basic-auth", env=env) as address:
        yield address


@pytest.fixture(autouse=True)
def told_little(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a pod is told: an address, and nothing of databases and buckets."""
    for name in (*S3_KEYS, "MLFLOW_S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    before = mlflow.get_tracking_uri()
    connect(url)
    yield
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


def _use(monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The facts of a bundle and stand-ins for its networks, which nothing here computes with."""
    folder = tmp_path_factory.mktemp("model") / "bundle"
    folder.mkdir()
    info = BundleInfo(
        spec=ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=(2,)),
        labels={"sex": ["female", "male"]},
        loss="relativistic",
        dataset_digest="ab" * 32,
        holdout_digest="cd" * 32,
        config={},
        training={},
        versions={"faceforge": "0"},
    )
    (folder / "bundle.json").write_text(info.model_dump_json())
    for network in ("generator", "discriminator"):
        (folder / f"{network}.keras").write_bytes(network.encode())
    return folder


def run_pipeline(bundle: Path, key: str, decision: str) -> str:
    """The pipeline as far as MLflow sees it."""
    with step_run("ingest", run_key=key, experiment="faces") as run:
        run.headline(dataset=DatasetRef("photos", "ab" * 32, "/data/photos"))
    with step_run("register", run_key=key, experiment="faces") as run:
        run.log_points([Point({"loss/generator": 0.5}, 64, at=1)])
        version = register_bundle(bundle, name=NAME, run=run, decision=decision)  # type: ignore[arg-type]
    finish_parent(key, "FINISHED", "faces")
    return version


def champion() -> str:
    return next(item.version for item in list_versions(NAME) if "champion" in item.aliases)


def test_a_model_from_its_run_to_the_registry_and_back(
    store: tuple[str, str], bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert [run_pipeline(bundle, "k1", "promote"), run_pipeline(bundle, "k2", "promote")] == ["1", "2"]
    assert champion() == "2"
    rollback(NAME, "blurred", by="ada")
    assert champion() == "1"
    with pytest.raises(FaceForgeError, match="no previous champion"):
        rollback(NAME)
    assert [event.action for event in history(NAME)] == ["promote", "promote", "rollback"]

    require_approval(NAME)
    assert run_pipeline(bundle, "k3", "promote") == "3"
    assert "version 3 waits for approval" in capfd.readouterr().out
    with pytest.raises(FaceForgeError, match="waits for approval"):
        promote(NAME, "3")
    assert champion() == "1"
    require_approval(NAME, required=False)

    fetched = champion_bundle(NAME, tmp_path / "champion").bundle
    assert fetched is not None
    assert (fetched / "generator.keras").read_bytes() == b"generator"

    found = lineage_of(f"models:/{NAME}@champion")
    assert (found.source, found.data, found.holdout, found.run_key) == ("/data/photos", "ab" * 32, "cd" * 32, "k1")
    assert f"/runs/{found.run_id}" in found.run_url
    assert found.missing == []

    import boto3
    import psycopg2

    keys = boto3.client("s3", endpoint_url=store[1], **client_keys()).list_objects_v2(Bucket=BUCKET)["Contents"]
    assert sum(entry["Key"].endswith("/bundle/generator.keras") for entry in keys) == 3
    with psycopg2.connect(f"{store[0]}/runs") as link, link.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM model_versions")
        assert cursor.fetchone() == (3,)


def test_the_doctor_finds_nothing_wrong(url: str, bundle: Path) -> None:
    run_pipeline(bundle, "k1", "promote")  # there already, unless this test is the first
    found = {finding.check: finding for finding in doctor.checks(url, NAME, "faces")}
    assert [finding.status for finding in found.values()] == ["ok"] * 4
    assert f"version {mlflow.__version__}; here {mlflow.__version__}" in found["MLflow"].message
    assert found["artifacts"].message.startswith("mlflow-artifacts:")


def test_a_name_that_the_server_does_not_expect(url: str) -> None:
    other = url.replace("127.0.0.1", "localhost")
    with pytest.raises(FaceForgeError, match="--allowed-hosts"):
        connect(other)
    assert "--allowed-hosts" in doctor.reach(other).message


@pytest.mark.skipif(not ACCOUNTS, reason="Flask-WTF is not installed: no accounts")
def test_accounts(
    url: str,
    store: tuple[str, str],
    options: list[str],
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from mlflow.server import get_app_client

    run_pipeline(bundle, "k1", "promote")
    run_pipeline(bundle, "k2", "hold")
    with guarded_server(store, options, tmp_path) as guarded:
        _use(monkeypatch, *ADMIN)
        connect(guarded)
        get_app_client("basic-auth", tracking_uri=guarded).create_user("reader", "only looks at 2")
        _use(monkeypatch, "reader", "only looks at 2")
        assert list_versions(NAME)
        assert doctor.reach(guarded).status == "ok"
        with pytest.raises(FaceForgeError, match="this account may not do that"):
            promote(NAME, "2")
        _use(monkeypatch, "reader", "a guess")
        with pytest.raises(FaceForgeError, match="access denied; set MLFLOW_TRACKING_USERNAME"):
            connect(guarded)
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            monkeypatch.delenv(name)
        found = doctor.reach(guarded)
        assert (found.status, "access denied" in found.message) == ("problem", True)
