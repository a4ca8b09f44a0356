from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "k8s"


def rendered() -> dict[str, dict[str, Any]]:
    """The base as kustomize renders it; without kubectl, the files it lists."""
    if shutil.which("kubectl"):
        found = subprocess.run(["kubectl", "kustomize", str(K8S / "base")], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        documents = list(yaml.safe_load_all(found.stdout))
    else:
        listed = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text())["resources"]
        documents = [d for name in listed for d in yaml.safe_load_all((K8S / "base" / name).read_text())]
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def base() -> dict[str, dict[str, Any]]:
    return rendered()


def server(base: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (container,) = base["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_everything_lives_in_one_namespace(base: dict[str, dict[str, Any]]) -> None:
    assert set(base) == {"Namespace", "PersistentVolumeClaim", "Service", "Deployment"}
    for kind, document in base.items():
        if kind != "Namespace":
            assert document["metadata"]["namespace"] == "faceforge"


def test_the_service_finds_the_server(base: dict[str, dict[str, Any]]) -> None:
    selector = base["Service"]["spec"]["selector"]
    assert selector.items() <= base["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    (port,) = base["Service"]["spec"]["ports"]
    named = {p["name"]: p["containerPort"] for p in server(base)["ports"]}
    assert port["port"] == named[port["targetPort"]] == 5000


def test_the_server_satisfies_the_restricted_pod_standard(base: dict[str, dict[str, Any]]) -> None:
    pod = base["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = server(base)["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {mount["mountPath"] for mount in server(base)["volumeMounts"]} == {"/mlflow", "/tmp"}


def test_a_volume_for_one_server_at_a_time(base: dict[str, dict[str, Any]]) -> None:
    assert base["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    (claim,) = [v for v in base["Deployment"]["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert claim["persistentVolumeClaim"]["claimName"] == base["PersistentVolumeClaim"]["metadata"]["name"]


def test_the_names_that_steps_and_probes_use_are_allowed(base: dict[str, dict[str, Any]]) -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    (argument,) = [a for a in server(base)["args"] if a.startswith("--allowed-hosts=")]
    allowed = argument.removeprefix("--allowed-hosts=").split(",")
    probe = {h["name"]: h["value"] for h in server(base)["readinessProbe"]["httpGet"]["httpHeaders"]}["Host"]
    for name in (
        probe,
        "localhost:8080",
        "mlflow:5000",
        "mlflow.faceforge:5000",
        "mlflow.faceforge.svc.cluster.local",
        "mlflow.faceforge.svc.cluster.local:5000",
    ):
        assert is_allowed_host_header(allowed, name), name
    assert not is_allowed_host_header(allowed, "mlflow.attacker.example")


def test_the_image_is_locked_and_not_root() -> None:
    text = (K8S / "images" / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]
    assert re.search(r"^USER 10001:0$", text, re.MULTILINE)
    for source in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in source.replace("${LOCK}", "cpu").split():
            if name != "README.md":
                assert (K8S.parent / name).exists(), name
