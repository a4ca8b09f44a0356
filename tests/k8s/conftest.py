"""The manifests rendered by kustomize, with secrets from the script that users run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "k8s"

Objects = list[dict[str, Any]]

# The overlays of the repository, and the components that none of them uses.
TREES = {
    "kind": "resources: [../kind]",
    "gpu": "resources: [../gpu]",
    "all": "resources: [../kind]\ncomponents: [../../components/serving, ../../components/monitoring, "
    "../../components/workers, ../../components/gpu, ../../components/spot]",
    "profile": "resources: [../kind]\ncomponents: [../../components/workers, ../../components/namespace]\n"
    "configMapGenerator: [{name: faceforge, namespace: kubeflow, behavior: merge, "
    "literals: [KF_PIPELINES_NAMESPACE=team-a]}]",
    "kserve": "resources: [../kind]\ncomponents: [../../components/kserve]",
}


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of k8s/ with new secrets, because a clean clone has none."""
    copy = tmp_path_factory.mktemp("manifests") / "k8s"
    shutil.copytree(K8S, copy, ignore=shutil.ignore_patterns("*.env", "*.json", "images"))
    subprocess.run([str(copy / "secrets.sh")], check=True, capture_output=True)
    return copy


@pytest.fixture(scope="session")
def render(tree: Path) -> Callable[[str], str]:
    """Renders one of TREES with `kubectl kustomize`."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    texts: dict[str, str] = {}

    def rendered(name: str) -> str:
        if name not in texts:
            folder = tree / "overlays" / f"test-{name}"
            folder.mkdir()
            (folder / "kustomization.yaml").write_text(TREES[name])
            found = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
            assert found.returncode == 0, found.stderr
            texts[name] = found.stdout
        return texts[name]

    return rendered


@pytest.fixture(scope="session", params=list(TREES))
def objects(request: pytest.FixtureRequest, render: Callable[[str], str]) -> Objects:
    return list(yaml.safe_load_all(render(request.param)))


def named(objects: Objects, kind: str, name: str = "") -> dict[str, Any]:
    """The one object of that kind and (generated suffixes aside) name."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].startswith(name)]
    return found


def pods(objects: Objects) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Namespace, metadata and spec of every pod that the objects create."""
    found = []
    for o in objects:
        if o["kind"] in ("Deployment", "StatefulSet"):
            template = o["spec"]["template"]
        elif o["kind"] == "CronJob":
            template = o["spec"]["jobTemplate"]["spec"]["template"]
        elif o["kind"] == "InferenceService":
            spec = o["spec"]["predictor"]
            template = {"metadata": {"labels": spec["labels"]}, "spec": spec}
        else:
            continue
        found.append((o["metadata"]["namespace"], template["metadata"], template["spec"]))
    return found
