from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Makefile").read_text()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A SIMULATED environment, as if installed: its programs print what they are asked."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("faceforge", "mlflow", "pytest", "ruff", "mypy", "lint-imports"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nprintf "{name}"\nprintf " [%s]" "$@"\necho\nexit ${{EXIT:-0}}\n')
        program.chmod(0o755)
    for stamp in ("cpu", "gpu", "dev"):
        (folder / f".installed-{stamp}").touch()
        os.utime(folder / f".installed-{stamp}", (4e9, 4e9))  # in the future, whatever is edited meanwhile
    return folder


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("MAKE", "MODEL", "SOURCE", "ARGS", "BUDGET", "MLFLOW_TRACKING_URI")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={**clean, **variables},
        capture_output=True,
        text=True,
    )


def targets() -> set[str]:
    (names,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
    return set(names.replace("\\", " ").split())


def test_help_lists_every_target_in_one_line() -> None:
    shown = make("help").stdout
    listed = {line.split()[0]: line for line in shown.splitlines() if re.match(r"  [a-z]", line)}
    assert set(listed) == targets()
    assert all(len(line.split()) > 2 for line in listed.values())
    assert make().stdout == shown


def test_run_passes_its_variables(environment: Path) -> None:
    result = make(
        "run", f"VENV={environment}", "SOURCE=my faces", "LABELS=gender,age", "PRESET=faces64",
        "SETTINGS=train.kimg=20, train.labels=gender+age",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "faceforge [pipeline] [run] [--source] [my faces] [--labels] [gender,age] [--preset] [faces64]"
        " [--set] [train.kimg=20, train.labels=gender+age]\n"
    )


def test_defaults_are_those_of_the_commands(environment: Path) -> None:
    assert make("run", f"VENV={environment}").stdout == "faceforge [pipeline] [run]\n"
    assert make("serve", f"VENV={environment}").stdout == "faceforge [serve]\n"


@pytest.mark.parametrize("text", ["bob's faces", 'so "sharp"', "a; touch hacked", "$(touch hacked)", "`x`"])
def test_quotes_in_values_are_harmless(environment: Path, text: str) -> None:
    escaped = text.replace("$", "$$")  # as everywhere in make
    result = make("run", f"VENV={environment}", f"SOURCE={escaped}", f"MODEL={escaped}")
    assert result.stdout == f"faceforge [pipeline] [run] [--source] [{text}] [--model-name] [{text}]\n", result.stderr
    result = make("promote", f"VENV={environment}", "VERSION=2", f"REASON={escaped}")
    assert result.stdout == f"faceforge [registry] [promote] [2] [--reason] [{text}]\n"
    assert not (ROOT / "hacked").exists()


def test_variables_of_one_make_do_not_reach_another(environment: Path, tmp_path: Path) -> None:
    inner = environment / "bin" / "pytest"
    inner.write_text(f"#!/bin/sh\nmake --no-print-directory -C {ROOT} run VENV={environment}\n")
    assert make("test", f"VENV={environment}", "ARGS=-k nothing").stdout == "faceforge [pipeline] [run]\n"


VARIABLES = ("SOURCE", "LABELS", "PRESET", "SETTINGS", "MODEL", "EXPERIMENT")


def test_the_options_exist(environment: Path) -> None:
    from pipelines.cli.pipeline import pipeline

    commands = pipeline.commands
    for target, command in (("run", "run"), ("pipeline-run", "submit")):
        line = make(target, f"VENV={environment}", *(f"{name}=x" for name in VARIABLES)).stdout
        assert line.count("--") == len(VARIABLES)
        known = {text for parameter in commands[command].params for text in parameter.opts}
        assert set(re.findall(r"\[(--[a-z-]+)\]", line)) <= known


def test_the_exit_code_comes_through(environment: Path) -> None:
    assert make("run", f"VENV={environment}", EXIT="3").returncode != 0


def test_promote_needs_a_version(environment: Path) -> None:
    result = make("promote", f"VENV={environment}")
    assert result.returncode != 0
    assert "VERSION=2" in result.stderr
    assert "faceforge" not in result.stdout
    line = make("promote", f"VENV={environment}", "VERSION=3", "REASON=sharper eyes").stdout
    assert line == "faceforge [registry] [promote] [3] [--reason] [sharper eyes]\n"
    line = make("promote", f"VENV={environment}", "VERSION=3", "MODEL=faces", "REASON=I like it", "FORCE=1").stdout
    assert line == "faceforge [registry] [promote] [3] [--name] [faces] [--reason] [I like it] [--force]\n"
    assert make("rollback", f"VENV={environment}").stdout == "faceforge [registry] [rollback]\n"


def test_the_ui_reads_what_runs_write(environment: Path) -> None:
    from faceforge.tracking.uri import ARTIFACTS_FOLDER, DEFAULT_URI

    line = make("mlflow-ui", f"VENV={environment}", "PORT=5001").stdout
    assert f"[{DEFAULT_URI}]" in line
    assert f"[./{ARTIFACTS_FOLDER}]" in line
    assert "[5001]" in line


def test_the_champion_is_served(environment: Path) -> None:
    line = make("serve", f"VENV={environment}", "MODEL=faces").stdout
    assert line == "faceforge [serve] [--model] [models:/faces@champion]\n"
    assert "[8080]" in make("serve", f"VENV={environment}", "PORT=8080").stdout


def test_nothing_is_installed_twice(environment: Path) -> None:
    assert "installing" not in make("setup", f"VENV={environment}").stdout


def test_an_unfit_python_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = make("setup", f"VENV={tmp_path / 'new'}", f"PYTHON={old}")
    assert result.returncode != 0
    assert "is not Python 3.11 to 3.13" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_failed_installation_is_not_taken_for_done(tmp_path: Path) -> None:
    venv = tmp_path / "new"
    python = venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert make("setup", f"VENV={venv}").returncode != 0
    assert not list(venv.glob(".installed-*"))


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("uv", "used"), [("exit 0", ["uv"]), ("exit 1", ["uv", "pip"]), ("", ["pip"])])
def test_uv_installs_where_there_is_one_and_pip_elsewhere(tmp_path: Path, uv: str, used: list[str]) -> None:
    venv, log = tmp_path / "new", tmp_path / "log"
    program(venv / "bin" / "python", f'echo "pip $*" >> {log}')
    if uv:
        program(tmp_path / "bin" / "uv", f'echo "uv $* $UV_DEFAULT_INDEX" >> {log}; {uv}')
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    result = make("setup", f"VENV={venv}", f"PYTHON={sys.executable}", PATH=path, PIP_INDEX_URL="https://index.example")
    assert result.returncode == 0, result.stderr
    lines = log.read_text().splitlines()
    assert [line.split()[0] for line in lines] == used * 2
    assert all("--require-hashes -r locks/cpu.txt" in line for line in lines[: len(used)])
    assert all("--no-build-isolation --no-deps -e ." in line for line in lines[len(used) :])
    assert all(line.endswith("https://index.example") for line in lines if line.startswith("uv"))


def test_tune_ingests_and_then_searches(environment: Path) -> None:
    options = ("SOURCE=my faces", "PRESET=faces64", "SETTINGS=train.kimg=20", "BUDGET=2h", "OUT=a b")
    result = make("tune", f"VENV={environment}", *options, MLFLOW_TRACKING_URI="http://mlflow:5000")
    assert result.returncode == 0, result.stderr
    shared = "[--preset] [faces64] [--set] [train.kimg=20]"
    assert result.stdout.splitlines() == [
        f"faceforge [ingest] [my faces] [--out] [a b/images] {shared}",
        f"faceforge [tune] [--data] [a b/images] [--out] [a b/search] {shared} [--budget] [2h]"
        " [--tracking-uri] [http://mlflow:5000]",
    ]
    plain = make("tune", f"VENV={environment}").stdout
    assert "[ingest] [toyfaces] [--out] [work/tune/images]" in plain
    assert "[--budget] [30min] [--tracking-uri] [sqlite:///mlflow.db]" in plain
