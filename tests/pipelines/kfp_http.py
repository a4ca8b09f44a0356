"""The SIMULATED Kubeflow Pipelines server on a port of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.pipelines.kfp_server import SimulatedServer


@contextmanager
def simulated_server() -> Iterator[SimulatedServer]:
    """A server on a free port of this machine."""
    server = SimulatedServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = server.handle(self.command, self.path, body, self.headers)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            payload = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            kind = (
                "application/json"
                if not isinstance(content, str)
                else "text/html"
                if "<html>" in content
                else "text/plain"
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()
