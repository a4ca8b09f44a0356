"""The MLflow server started as the manifests say: its preparation, its arguments, its readiness, its accounts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.k8s.conftest import K8S
from tests.tracking.servers import S3_KEYS, mlflow_server, postgres, s3

FILES = K8S / "base/mlflow"
PASSWORDS = {f"{name}_PASSWORD": f"{name.lower()} of 24 letters..." for name in ("ADMIN", "STEPS", "READER")}


def arguments() -> list[str]:
    deployment = yaml.safe_load((FILES / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return [text.replace("$(MLFLOW_BUCKET)", "mlflow") for text in container["args"]]


@pytest.fixture(scope="module")
def surroundings() -> Iterator[dict[str, str]]:
    pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed: no accounts")
    pytest.importorskip("psycopg2")
    with postgres() as database, s3("another") as store:
        address = urlsplit(database)
        link = {"PGHOST": str(address.hostname), "PGPORT": str(address.port), "PGUSER": str(address.username)}
        subprocess.run(
            [sys.executable, "-c", "import psycopg2; c = psycopg2.connect(dbname='postgres'); c.autocommit = True; "
             "c.cursor().execute('CREATE DATABASE mlflow')"], env={**os.environ, **link}, check=True,
        )  # fmt: skip
        yield {
            **link,
            **S3_KEYS,
            **PASSWORDS,
            "PGDATABASE": "mlflow",
            "MLFLOW_S3_ENDPOINT_URL": store,
            "MLFLOW_BUCKET": "mlflow",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret",
            "MLFLOW_AUTH_CONFIG_PATH": str(FILES / "basic_auth.ini"),
        }


@pytest.fixture(scope="module")
def prepared(surroundings: dict[str, str]) -> list[str]:
    """What two pods say that prepare the same database and bucket at the same time."""
    command = [sys.executable, str(FILES / "prepare.py")]
    both = [
        subprocess.Popen(
            command, env={**os.environ, **surroundings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    return [out for out, _ in said]


def ready(url: str, surroundings: dict[str, str], **other: str) -> int:
    """Exit status of the readiness probe, asking `url` instead of the pod's own port."""
    text = (FILES / "ready.py").read_text()
    assert "http://localhost:5000" in text
    command = [sys.executable, "-S", "-c", text.replace("http://localhost:5000", url)]
    return subprocess.run(command, env={**os.environ, **surroundings, **other}, capture_output=True).returncode


@pytest.fixture(scope="module")
def server(surroundings: dict[str, str], prepared: list[str]) -> Iterator[str]:
    mine = ("--host", "--port", "--workers", "--allowed-hosts")  # of the pod, not of this machine
    options = [text for text in arguments() if not text.startswith(mine)]
    assert len(options) == 3
    with mlflow_server(*options, env=surroundings) as url:
        yield url


def test_one_of_two_pods_prepares(prepared: list[str]) -> None:
    created = sorted(line for out in prepared for line in out.splitlines() if line.endswith(": created"))
    assert created == [
        "account admin: created",
        "account reader: created",
        "account steps: created",
        "bucket mlflow: created",
    ]


def test_only_who_has_an_account_is_answered_and_nobody_needs_the_store(
    server: str, surroundings: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys, mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "if sys.argv[2] == 'write':\n"
        "    mlflow.set_experiment('faces')\n"
        "    with mlflow.start_run() as run: mlflow.log_text('hello', 'a.txt')\n"
        "    print(run.info.run_id)\n"
        "else:\n"
        "    print(mlflow.artifacts.load_text(f'runs:/{sys.argv[2]}/a.txt'))\n"
    )
    away = (*surroundings, "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")
    clean = {name: value for name, value in os.environ.items() if name not in away}

    def run(what: str, user: str, password: str) -> subprocess.CompletedProcess[str]:
        env = {**clean, "MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        return subprocess.run(
            [sys.executable, "-c", program, server, what], env=env, capture_output=True, text=True, cwd=tmp_path
        )

    written = run("write", "steps", PASSWORDS["STEPS_PASSWORD"])
    assert written.returncode == 0, written.stderr
    run_id = written.stdout.split()[-1]
    assert run(run_id, "reader", PASSWORDS["READER_PASSWORD"]).stdout.strip() == "hello"
    assert run(run_id, "reader", "a guess").returncode != 0


def test_ready_means_that_the_database_answers(server: str, surroundings: dict[str, str]) -> None:
    assert ready(server, surroundings) == 0
    assert ready(server, surroundings, READER_PASSWORD="a guess") != 0
    assert ready("http://127.0.0.1:9", surroundings) != 0


@pytest.mark.parametrize("missing", ["MLFLOW_S3_ENDPOINT_URL", "PGPORT"], ids=["store", "database"])
def test_what_does_not_answer_is_waited_for_and_named(surroundings: dict[str, str], missing: str) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
    free.close()
    other = {missing: f"http://127.0.0.1:{port}" if missing == "MLFLOW_S3_ENDPOINT_URL" else port}
    code = (FILES / "prepare.py").read_text().replace("PATIENCE = 120.0", "PATIENCE = 3.0")
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **surroundings, **other}, capture_output=True, text=True
    )
    assert result.returncode == 1
    what = "object store at http" if missing == "MLFLOW_S3_ENDPOINT_URL" else "database at"
    assert f"waiting for the {what}" in result.stdout
    assert f"error: the {what}" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_names_that_steps_use_are_allowed() -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    (text,) = [a for a in arguments() if a.startswith("--allowed-hosts=")]
    allowed = text.removeprefix("--allowed-hosts=").split(",")
    for name in (
        "localhost:5000",  # the probe, and kubectl port-forward
        "mlflow:5000",
        "mlflow.faceforge:5000",
        "mlflow.faceforge.svc.cluster.local",
        "mlflow.faceforge.svc.cluster.local:5000",
    ):
        assert is_allowed_host_header(allowed, name), name
    assert not is_allowed_host_header(allowed, "mlflow.attacker.example")
