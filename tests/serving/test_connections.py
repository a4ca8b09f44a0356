"""Half-open connections, floods of them, and requests that do not end."""

from __future__ import annotations

import logging
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from faceforge.serving.connections import RepeatFilter


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 10)


def closed(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_half_sent_requests_are_closed_and_slow_keep_alive_as_well(serve: Callable[..., Any], onnx_file: Path) -> None:
    url = serve("--model", onnx_file, "--timeout", "1").wait().url
    with connect(url) as silent, connect(url) as half, connect(url) as again:
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        again.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert again.recv(1000).startswith(b"HTTP/1.1 200")
        again.sendall(b"GET /heal")
        assert all(closed(connection, 5) for connection in (silent, half))
        while not closed(again, 5):
            pass


def test_a_flood_of_connections_leaves_the_server_reachable_and_the_log_short(
    serve: Callable[..., Any], onnx_file: Path
) -> None:
    server = serve("--model", onnx_file)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (128, 128))
    server.wait()
    few = subprocess.run(
        [sys.executable, "-c", "from faceforge.serving.connections import connection_limit; print(connection_limit())"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(few.stdout) == 32
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(server.url)).sendall(b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(200):
            connection = stack.enter_context(connect(server.url))
            connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        time.sleep(1)
    assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200
    assert len(server.log) < 20_000


def test_warnings_are_repeated_once_in_ten_seconds(monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr("faceforge.serving.connections.time.monotonic", lambda: now)
    repeats = RepeatFilter()

    def passes(level: int = logging.WARNING) -> str:
        record = logging.LogRecord("x", level, "f", 1, "no room for %d", (3,), None)
        return record.getMessage() if repeats.filter(record) else ""

    assert passes() == "no room for 3"
    assert [passes(), passes()] == ["", ""]
    assert passes(logging.INFO)
    now += 11
    assert passes() == "no room for 3 (2 more like it)"


def test_shutdown_is_bounded_when_a_request_hangs(onnx_file: Path, tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text(
        "import sys, time\n"
        "from faceforge.serving import responses, run\n"
        "from faceforge.serving.limits import Limits\n"
        "responses.WRITERS[responses.JSON] = lambda *_: time.sleep(600)\n"
        "run.serve(sys.argv[1], port=0, limits=Limits(timeout=1))\n"
    )
    with subprocess.Popen([sys.executable, script, onnx_file], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found is not None
        url, end = found[0], time.monotonic() + 60
        while httpx.get(f"{url}/readyz", timeout=60).status_code != 200 and time.monotonic() < end:
            time.sleep(0.1)
        with connect(url) as connection:
            connection.sendall(
                b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert time.monotonic() - began < 25
