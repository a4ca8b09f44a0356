"""Training on several nodes: the Job that the script creates, and what its pods start."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.conftest import K8S, named

SCRIPT = K8S / "workers.sh"
VARIABLES = ("TF_CONFIG", "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@pytest.fixture
def launch(render: Callable[[str], str], tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], Any]]:
    """Call with the script's arguments: how it ended, and the Job that the cluster was given (None: none).

    `kubectl create` is pretended, for it asks a cluster: it makes of a CronJob what the real one makes. `kubectl
    patch` is the real one.
    """
    cron = named(list(yaml.safe_load_all(render("all"))), "CronJob", "faceforge-workers")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "NAME"},
        "spec": cron["spec"]["jobTemplate"]["spec"],
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    program = tmp_path / "kubectl"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
case "$1 $2" in
"patch --local") exec {shutil.which("kubectl")} "$@" ;;
"create job") sed "s/NAME/$3/" {tmp_path}/job.json ;;
*) cat > {tmp_path}/created.json ;;
esac
"""
    )
    program.chmod(0o755)

    def launched(*arguments: str) -> tuple[subprocess.CompletedProcess[str], Any]:
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        found = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, env=env)
        file = tmp_path / "created.json"
        return found, json.loads(file.read_text()) if file.exists() else None

    return launched


def test_a_job_of_so_many_workers(
    launch: Callable[..., tuple[subprocess.CompletedProcess[str], Any]], tmp_path: Path
) -> None:
    import kubernetes_validate

    options = ["--data", "/data/faces", "--set", 'train.init_from="models:/faceforge/3"', "--labels", "a\\b, c"]
    found, job = launch("faces-1", "4", *options)
    assert found.returncode == 0, found.stderr
    kubernetes_validate.validate(job, "1.32", strict=True)
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert job["metadata"]["name"] == "faces-1"
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert container["env"] == [{"name": "WORKERS", "value": "4"}]
    assert container["args"] == options
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1  # the component gpu
    assert len(spec["template"]["spec"]["tolerations"]) == 3
    calls = (tmp_path / "calls").read_text().splitlines()  # in any order: it is a pipe
    assert calls.count("create -f - -n kubeflow") == 1
    launch("faces-1", "4", "--dry-run", *options)
    assert "create --dry-run=client -o yaml -f - -n kubeflow" in (tmp_path / "calls").read_text().splitlines()
    assert (tmp_path / "calls").read_text().splitlines().count("create -f - -n kubeflow") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("faces-1",), "k8s/workers.sh NAME WORKERS"),
        (("Faces", "2", "--data", "x"), "error: Faces is not a valid name"),
        (("f" * 53, "2", "--data", "x"), "is not a valid name: at most 52"),
        (("faces", "0", "--data", "x"), "error: 0 is not a number of workers"),
        (("faces", "two", "--data", "x"), "error: two is not a number of workers"),
        (("faces", "2"), "error: --data is missing"),
        (("faces", "2", "--data", "x\ny"), "error: an option holds a line break"),
    ],
)
def test_invalid_arguments_are_refused(
    launch: Callable[..., tuple[subprocess.CompletedProcess[str], Any]], arguments: tuple[str, ...], said: str
) -> None:
    found, job = launch(*arguments)
    assert found.returncode == 2
    assert said in found.stdout + found.stderr
    assert job is None


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho 'no server answers' >&2\nexit 1\n")
    (tmp_path / "kubectl").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NAMESPACE": "team"}
    command = [str(SCRIPT), "faces-1", "4", "--dry-run", "--data", "/data/faces"]
    found = subprocess.run(command, capture_output=True, text=True, env=env)
    assert found.returncode == 2
    assert found.stdout == ""
    (line,) = found.stderr.splitlines()
    assert line.endswith("cannot be read, see: kubectl get cronjob -n team")


def test_workers_share_volumes_of_their_own(render: Callable[[str], str]) -> None:
    """So that the component can be added later: the access modes of a bound claim cannot be changed."""
    claims = {
        o["metadata"]["name"]: o["spec"]["accessModes"]
        for o in yaml.safe_load_all(render("all"))
        if o["kind"] == "PersistentVolumeClaim" and o["metadata"]["name"].startswith("faceforge-")
    }
    assert claims == {
        "faceforge-data": ["ReadWriteOnce"],
        "faceforge-checkpoints": ["ReadWriteOnce"],
        "faceforge-workers-data": ["ReadWriteMany"],
        "faceforge-workers-checkpoints": ["ReadWriteMany"],
    }
    job = named(list(yaml.safe_load_all(render("all"))), "CronJob", "faceforge-workers")
    volumes = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    mounted = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
    assert mounted == {"faceforge-workers-data", "faceforge-workers-checkpoints"}


@pytest.mark.parametrize("index", [0, 2])
def test_a_worker_waits_for_the_others_and_knows_them(
    render: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    pytest.importorskip("faceforge.compute.workers")
    objects = list(yaml.safe_load_all(render("all")))
    service = named([o for o in objects if o["kind"] == "Service"], "Service", "faceforge-workers")
    asked: list[str] = []
    became: list[str] = []

    def address(name: str, port: int) -> None:
        asked.append(name)
        if asked.count(name) < 2:
            raise socket.gaierror("not yet")

    def become(program: str, arguments: list[str]) -> None:
        became.extend(arguments)

    monkeypatch.setattr(socket, "getaddrinfo", address)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(os, "execvp", become)
    monkeypatch.setattr(sys, "argv", ["launch.py", "--data", "/data/faces"])
    for name in VARIABLES:
        monkeypatch.setenv(name, "of before")  # so that it is put back
    for name, value in {"JOB_COMPLETION_INDEX": str(index), "WORKERS": "3", "HOSTNAME": f"faces-2-{index}"}.items():
        monkeypatch.setenv(name, value)
    runpy.run_path(str(K8S / "components/workers/launch.py"), run_name="__main__")

    port = service["spec"]["ports"][0]["port"]
    told, *jax = (os.environ[name] for name in VARIABLES)
    told = json.loads(told)
    hosts = [f"faces-2-{number}.{service['metadata']['name']}:{port}" for number in range(3)]
    assert told == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
    assert jax == [hosts[0], "3", str(index)]
    assert set(asked) == {host.split(":")[0] for host in hosts}
    assert became[:2] == ["faceforge", "train"]
    assert became[2:6] == ["--out=/checkpoints/faces-2", "--run=faces-2", "--data", "/data/faces"]
    assert became[6:] == (["--tracking-uri="] if index else [])


def test_a_worker_that_never_appears_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faceforge.compute.workers")
    wait_for = runpy.run_path(str(K8S / "components/workers/launch.py"))["wait_for"]
    monkeypatch.setitem(wait_for.__globals__, "PATIENCE", -1.0)
    with pytest.raises(SystemExit, match=r"error: nobody\.invalid has not come"):
        wait_for(["nobody.invalid"])
