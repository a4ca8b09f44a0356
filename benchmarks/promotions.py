"""A server under load while its registry promotes one version after another.

    python -m benchmarks.promotions --model work/model/bundle      # 5,000 requests, 32 clients, 100 promotions

Registers the bundle twice in a fresh registry, starts `faceforge serve` on its champion, and promotes the other version
as soon as the server answers with the promoted one. Requests are spread evenly over the promotions. A client that is
told to wait (429, 503) waits as long as `Retry-After` says. Prints a line of JSON.

Exit code 1: a status other than 200, 429 and 503, a refusal without `Retry-After`, a version that was promoted and not
served, or memory that grew by more than a tenth between the first fifth of the promotions and the last.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.serving import GROWTH, ask, connect, resident
from faceforge.inference.registration import register_bundle
from faceforge.tracking.connection import connect as connect_registry
from faceforge.tracking.promotion import promote
from faceforge.tracking.runs import step_run

NAME = "promoted"
_REFUSALS = (429, 503)
_PATIENCE = 120.0  # seconds until a promoted version must be served


class Clients:
    """Threads that ask for images as often as they may.

    Attributes:
        allowed: number of requests to send so far.
        statuses: number of answers by status, or by the name of an error of the connection.
        latencies: seconds of every answer with status 200.
        without_advice: refusals without `Retry-After`.
    """

    def __init__(self, url: str, count: int) -> None:
        self._url, self._stop, self._lock = url, threading.Event(), threading.Lock()
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.without_advice, self.allowed, self._sent = 0, 0, 0
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Waits for the open requests."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _next(self) -> int | None:
        """The number of the next request; None: no further one is allowed yet."""
        with self._lock:
            if self._sent >= self.allowed:
                return None
            self._sent += 1
            return self._sent

    def _work(self) -> None:
        connection = connect(self._url)
        while not self._stop.is_set():
            if (number := self._next()) is None:
                connection.close()  # the server closes idle ones; the next request opens it again
                self._stop.wait(0.05)
                continue
            body = json.dumps({"num_images": 4, "seed": number})
            began = time.monotonic()
            try:
                connection.request("POST", "/v1/generate", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._count(type(error).__name__)
                connection = connect(self._url)
                continue
            self._count(str(answer.status), time.monotonic() - began)
            if answer.status in _REFUSALS:
                advice = answer.getheader("Retry-After", "")
                if not advice.isdigit():
                    with self._lock:
                        self.without_advice += 1
                self._stop.wait(float(advice or 1))

    def _count(self, status: str, seconds: float = 0.0) -> None:
        with self._lock:
            self.statuses[status] += 1
            if status == "200":
                self.latencies.append(seconds)


def main() -> int:
    """Prints what was measured; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the bundle to serve")
    parser.add_argument("--requests", type=int, default=5000, help="of all clients together")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--promotions", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = connect_registry(f"sqlite:///{folder}/mlflow.db")
        _register_twice(options.model)
        with _server(uri) as url:
            clients, memory, began = Clients(url, options.clients), [], time.monotonic()
            try:
                for number in range(options.promotions):
                    clients.allowed = options.requests * (number + 1) // options.promotions
                    _promote(url, version=str(number % 2 + 1))
                    memory.append(resident(url))
                while clients.statuses.total() < options.requests:
                    time.sleep(0.1)
            finally:
                clients.end()
            seconds = time.monotonic() - began
    early, late = max(memory[: max(len(memory) // 5, 1)]), memory[-1]
    p50, p99 = np.percentile(clients.latencies, [50, 99]) * 1000
    figures = {
        "requests": clients.statuses.total(),
        "statuses": dict(clients.statuses),
        "without_retry_after": clients.without_advice,
        "promotions": len(memory),
        "seconds": round(seconds),
        "p50_ms": round(float(p50)),
        "p99_ms": round(float(p99)),
        "server_mib": [round(each) for each in memory[:: max(len(memory) // 10, 1)]],  # after every tenth promotion
    }
    print(json.dumps(figures), flush=True)
    wrong = set(clients.statuses) - {"200", *map(str, _REFUSALS)}
    return int(bool(wrong) or clients.without_advice > 0 or late > early * GROWTH)


def _register_twice(bundle: Path) -> None:
    for key in ("first", "second"):
        with step_run("register", run_key=key, experiment="promotions") as run:
            register_bundle(bundle, name=NAME, run=run, decision="promote" if key == "second" else "hold")


@contextmanager
def _server(tracking_uri: str) -> Iterator[str]:
    """Address of a server that follows the champion."""
    command = [sys.executable, "-m", "faceforge.cli.main", "serve", "--port", "0", "--poll", "0.2"]
    command += ["--model", f"models:/{NAME}@champion", "--tracking-uri", tracking_uri]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found, "the server does not start"
        while ask(connect(found[0]), "GET", "/readyz")[0] != 200:
            time.sleep(0.1)
        yield f"http://{urlsplit(found[0]).netloc}"
    finally:
        process.terminate()
        process.wait()


def _promote(url: str, version: str) -> None:
    """Promotes a version and waits until the server answers with it."""
    promote(NAME, version, "load test")
    end = time.monotonic() + _PATIENCE
    while json.loads(ask(connect(url), "GET", "/v1/model")[1])["model"] != f"models:/{NAME}/{version}":
        if time.monotonic() > end:
            raise SystemExit(f"version {version} is not served {_PATIENCE:g} s after its promotion")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
