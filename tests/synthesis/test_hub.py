"""Uploading to the hub, by its own client, to a SIMULATED hub: an HTTP server that answers as the client expects.

The real hub was not asked: what it does with a commit is not tested here.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.synthesise import synthesise

pytest.importorskip("huggingface_hub")


class Hub(ThreadingHTTPServer):
    """Repositories and files that it was given, and the tokens of the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.created: list[dict[str, object]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self._body()
        self.server.tokens.add(self.headers.get("Authorization", ""))
        address = f"{self.server.url}/datasets/me/faces"
        if self.server.refuses:
            self._answer({"error": "Forbidden"}, 403)
        elif self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self._answer({"url": address, "id": "1", "name": "me/faces"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self._answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer({"commitUrl": f"{address}/commit/1", "commitOid": "1", "success": True})
        else:
            self._answer({})

    def do_GET(self) -> None:
        if self.server.refuses:
            self._answer({"error": "Forbidden"}, 403)
        else:
            self._answer({"id": "me/faces", "sha": "0", "siblings": []})

    do_HEAD = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def made(bundle: Path, data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pushed") / "faces"
    synthesise(str(bundle), out, synthesis_config("per_class=2"))
    return out


def test_the_whole_set_is_one_commit_to_a_private_repository(hub: Hub, made: Path) -> None:
    from faceforge.synthesis.hub import push

    assert push(made, "me/faces") == f"{hub.url}/datasets/me/faces"
    (created,) = hub.created
    assert created["type"] == "dataset"
    assert created.get("visibility") == "private" or created.get("private") is True  # newer and older clients
    assert hub.files == {path.name: path.read_bytes() for path in made.iterdir()}
    assert hub.tokens == {"Bearer hf_secret"}


def test_a_refusal_is_one_line(hub: Hub, made: Path) -> None:
    from faceforge.synthesis.hub import push

    hub.refuses = True
    with pytest.raises(FaceForgeError, match="me/faces was not uploaded: .*403"):
        push(made, "me/faces")
    assert not hub.files
