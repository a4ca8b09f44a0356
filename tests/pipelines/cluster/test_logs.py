"""Logs of a run, read from a SIMULATED Kubernetes API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline

NODE = "workflows.argoproj.io/node-name"


def pod(name: str, node: str, minute: int) -> dict[str, object]:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-01-01T00:{minute:02}:00Z",
            "labels": {"pipeline/runid": "r-1"},
            "annotations": {NODE: node},
        }
    }


PODS = [
    pod("p-3", "faceforge-x.root.steps.train.executor", 3),
    pod("p-0", "faceforge-x.root-driver", 0),
    pod("p-1", "faceforge-x.root.steps.ingest-driver", 1),
    pod("p-2", "faceforge-x.root.steps.ingest.executor", 2),
]


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """SIMULATED Kubernetes API that KUBECONFIG points to; the requests it gets."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            status, body = 404, "{}"
            if parts.path == "/api/v1/namespaces/forbidden/pods":
                status = 403
            elif parts.path.endswith("/pods"):
                asked = query["labelSelector"] == ["pipeline/runid=r-1"]
                status, body = 200, json.dumps({"kind": "PodList", "items": PODS if asked else []})
            elif parts.path.endswith("/log") and query["container"] == ["main"]:
                lines = [f"{parts.path.split('/')[-2]} says {number}" for number in range(3)]
                status, body = 200, "\n".join(lines[-int(query.get("tailLines", ["9"])[0]) :])
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        where = f"http://127.0.0.1:{http.server_port}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": where}}],
            "users": [{"name": "me", "user": {}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        yield requests
        http.shutdown()


def logs(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["logs", *arguments])


def test_steps_in_the_order_in_which_they_ran(kubernetes: list[str]) -> None:
    lines = logs("r-1").output.splitlines()
    assert [line.split() for line in lines] == [
        [step, pod, "says", str(number)] for step, pod in (("ingest", "p-2"), ("train", "p-3")) for number in range(3)
    ]
    assert kubernetes[0].startswith("/api/v1/namespaces/kubeflow/pods")


def test_one_step_and_its_last_lines(kubernetes: list[str]) -> None:
    assert logs("r-1", "--step", "train", "--tail", "1", "--namespace", "faces").output.split() == [
        "train", "p-3", "says", "2",
    ]  # fmt: skip
    assert all("/namespaces/faces/" in request for request in kubernetes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["r-9"], "no pods of run r-9 in namespace kubeflow"),
        (["r-1", "--step", "evaluate"], "no pods of step evaluate of run r-1"),
        (["r-1", "--namespace", "forbidden"], "Kubernetes answers 403"),
    ],
)
def test_missing_pods_are_reported_in_one_line(kubernetes: list[str], arguments: list[str], message: str) -> None:
    result = logs(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert "no Kubernetes cluster is configured" in logs("r-1").output
