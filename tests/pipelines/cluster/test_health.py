from __future__ import annotations

import socket

import pytest

from pipelines.cluster.health import check
from tests.pipelines.kfp_server import SimulatedServer


@pytest.fixture(autouse=True)
def endpoint(server: SimulatedServer, no_kubernetes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KF_PIPELINES_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.url)


def test_a_good_server(server: SimulatedServer) -> None:
    found = check()
    assert (found.status, found.message) == ("ok", f"{server.url}, version 2.17.0, single-user")
    server.multi_user = True
    assert "multi-user: give --namespace" in check().message


def test_an_old_server(server: SimulatedServer) -> None:
    server.version = "2.4.1"
    found = check()
    assert (found.status, found.remedy) == ("warning", "upgrade Kubeflow Pipelines to 2.16 or later")


def test_a_missing_token_is_reported(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "right"
    assert (check().status, "access denied (401)" in check().message) == ("problem", True)
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "right")
    assert check().status == "ok"


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"http://127.0.0.1:{port}")
    assert (check().status, "connection refused" in check().message) == ("problem", True)
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    assert check().status == "skipped"


def test_a_multi_user_server_with_a_namespace(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.multi_user = True
    monkeypatch.setenv("KF_PIPELINES_NAMESPACE", "faces")
    assert "multi-user, namespace faces" in check().message
    server.forbidden = {"faces"}
    assert (check().status, "403" in check().message) == ("problem", True)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("limit: 2, retryPolicy: OnError", "those killed for lack of memory are not (see k8s/kubeflow/retries.yaml"),
        ("limit: 2, retryPolicy: Always", "deleted and killed pods are retried (policy Always, 2 times)"),
        ("limit: 2, expression: 'true'", "policy Always"),
        ("", "only by --retries"),
    ],
)
def test_the_retries_of_the_workflow_controller_are_reported(
    monkeypatch: pytest.MonkeyPatch, strategy: str, message: str
) -> None:
    text = f"spec: {{templateDefaults: {{retryStrategy: {{{strategy}}}}}}}"
    monkeypatch.setattr("pipelines.cluster.controller.read_config_map", lambda *_: {"workflowDefaults": text})
    assert message in check().message
