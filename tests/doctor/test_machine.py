"""What the doctor sees on machines of all kinds; the programs it asks are small scripts."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceforge.cli.doctor import doctor
from faceforge.doctor import machine
from faceforge.doctor.finding import Finding

Usage = namedtuple("Usage", "total used free")
_GIB = 2**30


def test_the_packages_of_this_environment_are_right() -> None:
    found = machine.packages()
    assert found.status == "ok", found.message
    assert f"mlflow {metadata.version('mlflow')}" in found.message


def test_wrong_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=99", 'no-such-package>=1; extra == "core"', 'other-package>=1; extra == "gpu"']
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    found = machine.packages()
    assert (found.status, found.remedy) == ("problem", "install the locked packages: make setup")
    assert found.message == f"numpy {metadata.version('numpy')} (needs >=99), no-such-package is missing"


@pytest.mark.parametrize(
    "listed, flavour, seen, status, told",
    [
        (None, "tensorflow", "", "skipped", "no NVIDIA GPU"),
        ("", "tensorflow", "", "problem", "lists no GPU"),
        ("H200, 143771 MiB, 570", "tensorflow-cpu", "", "problem", "the build for CPUs"),
        ("H200, 143771 MiB, 570", "", "", "skipped", "TensorFlow is not installed"),
        ("H200, 143771 MiB, 570", "tensorflow", "GPUs 0", "problem", "sees 0 of 1"),
        ("H200, 143771 MiB, 570", "tensorflow", "", "problem", "sees none of 1"),
        ("A, 1, 2\nB, 3, 4", "tensorflow", "GPUs 2", "ok", "A, 1, 2; B, 3, 4"),
    ],
)
def test_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listed: str | None, flavour: str, seen: str, status: str, told: str
) -> None:
    for name, says in (("nvidia-smi", listed), ("python", seen)):
        if says is not None:
            (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
            (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if listed is not None else str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(machine, "_version", lambda package: "2.21" if package == flavour else "")
    found = machine.gpu()
    assert (found.status, told in found.message) == (status, True), found
    assert bool(found.remedy) == (status == "problem")


@pytest.mark.parametrize("size, status", [(64 * 2**20, "warning"), (2 * _GIB, "ok")])
def test_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(size, 0, size))
    assert machine.shared_memory(tmp_path).status == status
    assert machine.shared_memory(tmp_path / "none").status == "skipped"


@pytest.mark.parametrize("free, status", [(_GIB // 2, "problem"), (3 * _GIB, "warning"), (50 * _GIB, "ok")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * _GIB, 0, free))
    assert machine.disk(tmp_path).status == status
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert (machine.disk(tmp_path).status, "is read-only" in machine.disk(tmp_path).message) == ("problem", True)


@pytest.mark.parametrize("status, code", [("ok", 0), ("skipped", 0), ("warning", 0), ("problem", 1)])
def test_the_exit_code_tells_of_problems(monkeypatch: pytest.MonkeyPatch, status: str, code: int) -> None:
    finding = Finding("disk", status, "as it is", "do something")  # type: ignore[arg-type]
    monkeypatch.setattr("faceforge.cli.doctor._findings", lambda *_: iter([finding]))
    plain = CliRunner().invoke(doctor)
    assert plain.exit_code == code
    assert plain.output.splitlines()[1].strip() == "-> do something"
    as_json = CliRunner().invoke(doctor, ["--json"])
    assert (as_json.exit_code, json.loads(as_json.output)[0]["status"]) == (code, status)
