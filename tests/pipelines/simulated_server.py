"""SIMULATED Kubeflow Pipelines API server: the few addresses that submission uses, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class SimulatedServer:
    """What was sent, and what is to be answered.

    Attributes:
        states: what `GET run` answers, one after the other; the last one stays. An int is answered as HTTP status.
        token: if set, requests without it are refused with 401.
        submitted: bodies of `POST runs`.
        experiments: names of the experiments created.
    """

    url: str = ""
    states: list[str | int] = field(default_factory=lambda: ["SUCCEEDED"])
    token: str = ""
    error: str = ""
    submitted: list[dict[str, Any]] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    polls: int = 0

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a request."""
        resource = path.removeprefix("/apis/v2beta1/").split("/")
        if resource[0] == "healthz":
            return 200, {"multi_user": False}
        if resource[0] == "experiments":
            if method == "POST":
                self.experiments.append(body["display_name"])
                return 200, {"experiment_id": "e-1", **body}
            return 200, {}
        if resource[0] == "runs" and method == "POST":
            self.submitted.append(body)
            return 200, {"run_id": "r-1", "display_name": body["display_name"], "state": "PENDING"}
        if resource == ["runs", "r-1"]:
            state = self.states[min(self.polls, len(self.states) - 1)]
            self.polls += 1
            if isinstance(state, int):
                return state, {"error": "simulated"}
            run: dict[str, Any] = {"run_id": "r-1", "state": state}
            return 200, {**run, "error": {"message": self.error}} if self.error else run
        return 404, {"error": f"simulated server does not know {method} {path}"}


@contextmanager
def simulated_server() -> Iterator[SimulatedServer]:
    """A server on a free port of this machine."""
    server = SimulatedServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                status, content = 401, {"error": "unauthorised"}
            else:
                status, content = server.answer(self.command, urlsplit(self.path).path, body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()
