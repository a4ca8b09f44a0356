from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

import pipelines.local.run
from faceforge.config import Config, resolve
from pipelines.definition.parameters import RunParameters
from tests.pipelines.kfp_http import simulated_server
from tests.pipelines.kfp_server import SimulatedServer

STAND_IN = Path(__file__).parent / "standin"


@pytest.fixture
def simulated_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SIMULATED steps in every process started from here, and no MLflow; returns the folder that controls them."""
    control = tmp_path / "control"
    control.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("FACEFORGE_STANDIN", str(control))
    monkeypatch.setattr(pipelines.local.run, "check_locally", unchecked)
    monkeypatch.setattr(pipelines.local.run, "_finish_parent", lambda *_: None)
    return control


def unchecked(parameters: RunParameters) -> tuple[RunParameters, Config]:
    """In place of `check_locally`: no source is opened, no MLflow is asked."""
    return parameters, resolve(parameters.preset, parameters.settings)


@pytest.fixture
def lines() -> tuple[list[str], Callable[[str], None]]:
    """A list, and a function that adds to it."""
    found: list[str] = []
    return found, found.append


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KF_PIPELINES_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def deleted_workflows() -> set[str]:
    """Names of the workflows that the `kubernetes` fixture no longer has; all others exist, one of them of run r-0."""
    return set()


@pytest.fixture
def kubernetes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted_workflows: set[str]
) -> Iterator[dict[str, str]]:
    """SIMULATED Kubernetes API that KUBECONFIG points to: logs of pods in namespace kubeflow by the pods' names."""
    logs: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found = re.fullmatch("/api/v1/namespaces/kubeflow/pods/([^/]+)/log", parts.path)
            status, body = 404, json.dumps({"kind": "Status", "message": "pods not found", "code": 404})
            if found and found[1] in logs:
                tail = int(parse_qs(parts.query).get("tailLines", ["0"])[0])
                status, body = 200, "\n".join(logs[found[1]].splitlines()[-tail:])
            found = re.fullmatch("/apis/argoproj.io/v1alpha1/namespaces/kubeflow/workflows/?([^/]*)", parts.path)
            if found and not found[1]:
                status, body = 200, json.dumps({"items": [{"metadata": {"labels": {"pipeline/runid": "r-0"}}}]})
            elif found and found[1] in deleted_workflows:
                body = json.dumps({"kind": "Status", "message": f'workflows "{found[1]}" not found', "code": 404})
            elif found:
                status, body = 200, json.dumps({"metadata": {"name": found[1]}})
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}],
            "users": [{"name": "me", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
        yield logs
        http.shutdown()


@pytest.fixture
def no_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster is configured on this machine."""
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimulatedServer]:
    """SIMULATED Kubeflow Pipelines server, where the environment says that it is."""
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp keeps a context file there
    monkeypatch.setattr("pipelines.cluster.api.RETRY_SECONDS", 0.01)
    with simulated_server() as running:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.url)
        yield running
