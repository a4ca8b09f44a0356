"""Real servers for the tests, each a process of its own: PostgreSQL, S3 (moto's) and MLflow on top of both."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

S3_KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh database server; yields `postgresql://...` without a database's name. Skips where there is none."""
    programs = [Path(found).parent for found in (shutil.which("initdb"),) if found]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian keeps them
    if not programs or not (programs[-1] / "initdb").is_file():
        pytest.skip("PostgreSQL is not installed")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder, port = Path(tempfile.mkdtemp(prefix="pg")), free_port()
    if user:
        shutil.chown(folder, user)
    where = {"cwd": folder, "user": user, "stdout": subprocess.DEVNULL}
    try:
        options = ["-U", "mlflow", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([programs[-1] / "initdb", "-D", folder / "data", *options], check=True, **where)  # type: ignore[call-overload]
        command = [programs[-1] / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        with _running(
            [*command, "-c", "fsync=off"], lambda: _listens(port), stop=signal.SIGQUIT, user=user, cwd=folder
        ):
            yield f"postgresql://mlflow@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """A fresh S3 server with one bucket; yields its address."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _running([sys.executable, "-m", "moto.server", "-p", str(port)], lambda: _listens(port)):
        boto3.client("s3", endpoint_url=url, **client_keys()).create_bucket(Bucket=bucket)
        yield url


def client_keys() -> dict[str, str]:
    """The keys as boto3 takes them."""
    names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
    return dict(zip(names, S3_KEYS.values(), strict=True))


@contextmanager
def proxy(server: str, body_bytes: int) -> Iterator[str]:
    """An HTTP proxy in front of `server` that answers larger bodies with 413, as nginx does; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if len(body) > body_bytes:
                self.send_error(413)
                return
            sent = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = httpx.request(self.command, server + self.path, headers=sent, content=body, timeout=60)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _forward

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.server_port}"
        finally:
            listener.shutdown()


@contextmanager
def mlflow_server(*options: str, env: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """An MLflow server; yields its address, http://127.0.0.1:PORT."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    hosts = ["--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "mlflow", "server", *hosts, "--workers", "1", *options]
    quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # starts sooner
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
    with _running(command, lambda: _healthy(url), env={**clean, **quick, **env}):
        yield url


@contextmanager
def _running(
    command: Sequence[object],
    ready: Callable[[], bool],
    stop: int = signal.SIGKILL,
    user: str | None = None,
    **more: object,
) -> Iterator[None]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [str(part) for part in command], stdout=said, stderr=said, start_new_session=True, user=user, **more
        )
        try:
            deadline = time.monotonic() + 120
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise AssertionError(f"{command[:4]} did not start: {said.read()[-2000:].decode()}")
                time.sleep(0.1)
            yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, stop)
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except OSError:
        return False
