"""The scripts beside the manifests."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from faceforge import __version__

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"


def cluster(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(K8S / "cluster.sh"), *arguments], capture_output=True, text=True, env={**os.environ, **variables}
    )


def steps(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("+ ")]


def pretended(folder: Path, *names: str, clusters: str = "") -> str:
    """A PATH whose tools only write down that they were called."""
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(f'#!/bin/sh\nif [ "$*" = "get clusters" ]; then echo "{clusters}"; fi\n')
        program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_is_content() -> None:
    found = subprocess.run(["shellcheck", *sorted(str(p) for p in K8S.glob("*.sh"))], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_up_in_order_and_never_in_another_cluster() -> None:
    found = cluster("up", "--dry-run", ENGINE="docker", FACEFORGE_CLUSTER="trial")
    assert found.returncode == 0, found.stderr
    done = steps(found.stdout)
    order = [
        "kind create cluster --name trial", "cluster-scoped-resources?ref=2.17.0", "crd/applications.app.k8s.io",
        "env/platform-agnostic?ref=2.17.0", "patch configmap",
        "make images", "kind load image-archive", "k8s/secrets.sh",
        "apply -k k8s/overlays/kind", "deployment/mlflow",
    ]  # fmt: skip
    places = [next(i for i, line in enumerate(done) if text in line) for text in order]
    assert places == sorted(places)
    for line in done:
        if line.startswith("kubectl"):
            assert line.startswith("kubectl --context kind-trial ")
        if line.startswith("kind "):
            assert "--name trial" in line


def test_the_images_that_manifests_name_are_loaded() -> None:
    done = steps(cluster("up", "--dry-run", ENGINE="podman").stdout)
    saved = {line.split()[-1].removeprefix("docker.io/library/") for line in done if " save " in line}
    text = "".join(p.read_text() for p in K8S.rglob("*.yaml"))
    wanted = set(re.findall(r"image: (faceforge-[a-z]+:\S+)", text))
    assert wanted == saved == {f"faceforge-{part}:{__version__}" for part in ("core", "train", "serve")}


def test_the_kfp_client_is_of_the_version_that_is_installed() -> None:
    version = re.search(r"^KFP_VERSION=(\d+\.\d+)", (K8S / "cluster.sh").read_text(), re.MULTILINE)
    assert version
    assert f'"kfp>={version[1]},' in (ROOT / "pyproject.toml").read_text()


def test_a_local_copy_of_kubeflow_is_used_unchanged(tmp_path: Path) -> None:
    text = cluster("up", "--dry-run", KFP_MANIFESTS=str(tmp_path)).stdout
    assert f"apply -k {tmp_path}/env/platform-agnostic\n" in text
    assert "github.com" not in text


def up_with_pretended_tools(folder: Path, kind: str = "") -> subprocess.CompletedProcess[str]:
    """`cluster.sh up` from a copy, with tools that do nothing; `kind` is what kind does besides."""
    tools = pretended(folder / "bin", "kind", "kubectl", "docker", "make", clusters="faceforge")
    home = folder / "k8s"
    home.mkdir()
    for name in ("cluster.sh", "kind.yaml"):
        shutil.copy(K8S / name, home / name)
    (home / "secrets.sh").write_text("#!/bin/sh\n")
    (home / "secrets.sh").chmod(0o755)
    (folder / "bin/docker").write_text('#!/bin/sh\nif [ "$1" = save ]; then echo image > "$3"; fi\n')
    with (folder / "bin/kind").open("a") as program:
        program.write(kind)
    env = {"PATH": tools, "TMPDIR": str(folder)}
    return subprocess.run([str(home / "cluster.sh"), "up"], capture_output=True, text=True, env=env)


def test_an_existing_cluster_is_kept(tmp_path: Path) -> None:
    found = up_with_pretended_tools(tmp_path)
    assert found.returncode == 0, found.stderr
    assert "create cluster" not in found.stdout
    assert "apply -k k8s/overlays/kind" in found.stdout
    assert not list(tmp_path.glob("tmp.*"))


def test_a_failure_ends_it_and_leaves_no_image_files(tmp_path: Path) -> None:
    found = up_with_pretended_tools(tmp_path, kind='if [ "$1" = load ]; then exit 7; fi\n')
    assert found.returncode == 7
    assert "kind load image-archive" in steps(found.stdout)[-1]
    assert not list(tmp_path.glob("tmp.*"))


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    bare = pretended(tmp_path / "bin", "kubectl", "docker")
    found = cluster("up", PATH=bare)
    assert found.returncode == 2
    assert found.stderr == "error: kind is not installed: https://kind.sigs.k8s.io\n"
    assert not steps(found.stdout)


def test_make_calls_it() -> None:
    for target, first in (("cluster-up", "kind create cluster"), ("cluster-down", "kind delete cluster")):
        found = subprocess.run(["make", target, "ARGS=--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert steps(found.stdout)[0].startswith(first), found.stderr


def test_down_removes_the_cluster() -> None:
    assert steps(cluster("down", "--dry-run").stdout) == ["kind delete cluster --name faceforge"]


@pytest.mark.parametrize("arguments", [(), ("sideways",), ("up", "--force")])
def test_other_arguments_print_the_usage(arguments: tuple[str, ...]) -> None:
    found = cluster(*arguments)
    assert found.returncode == 2
    assert "k8s/cluster.sh up" in found.stdout


def environment(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    def make(folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        return subprocess.run([str(K8S / "secrets.sh"), str(folder)], capture_output=True, text=True, check=True).stdout

    first, second = tmp_path / "a", tmp_path / "b"
    make(first), make(second)
    server = environment(first / "mlflow-server.env")
    assert len(set(server.values())) == len(server)
    assert min(map(len, server.values())) >= 48
    assert not set(server.values()) & set(environment(second / "mlflow-server.env").values())
    for file in first.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = {file.name: file.read_text() for file in first.iterdir()}
    (first / "faceforge-serve.env").unlink()
    assert "written faceforge-serve.env" in make(first)
    after = {file.name: file.read_text() for file in first.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"faceforge-serve.env"}  # a new API key
    assert environment(first / "faceforge-serve.env")["MLFLOW_TRACKING_PASSWORD"] == server["READER_PASSWORD"]
    assert environment(first / "faceforge-mlflow.env")["MLFLOW_TRACKING_PASSWORD"] == server["STEPS_PASSWORD"]
    (identity,) = json.loads((first / "objectstore.json").read_text())["identities"]
    assert identity["credentials"] == [
        {"accessKey": server["AWS_ACCESS_KEY_ID"], "secretKey": server["AWS_SECRET_ACCESS_KEY"]}
    ]


def test_no_secret_is_in_git() -> None:
    listed = subprocess.run(["git", "ls-files", "k8s"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    assert not [name for name in listed if name.endswith((".env", ".json", ".pem", ".key"))]
    generator = yaml.safe_load((K8S / "components/secrets/kustomization.yaml").read_text())["secretGenerator"]
    for entry in generator:
        assert "literals" not in entry
        for name in [*entry.get("envs", []), *(f.split("=")[1] for f in entry.get("files", []))]:
            ignored = subprocess.run(
                ["git", "check-ignore", "-q", f"k8s/components/secrets/{name}"], cwd=ROOT, capture_output=True
            )
            assert ignored.returncode == 0, name
