"""The command line on plain folders, without Kubeflow and without MLflow unless asked."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from faceforge.cli.main import main

ROOT = Path(__file__).parents[2]
TINY = (
    "ingest.limit=400, ingest.holdout=0.3, model.latent_size=8, model.width=4, model.max_width=8, train.kimg=0.4,"
    "train.batch_size=8, train.log_points=20, train.grids=5, evaluate.samples=100, evaluate.classifier_epochs=1"
)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str | Path) -> str:
    """The one line that a command says when it refuses."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    *_, line = result.output.strip().splitlines()
    assert "Traceback" not in result.output
    return line


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the five steps leave, one after the other."""
    folder = tmp_path_factory.mktemp("work")
    run("ingest", "toyfaces", "--out", folder / "data", "--set", TINY)
    run("augment", "--data", folder / "data", "--out", folder / "more", "--set", "augment.flip=true")
    run("train", "--data", folder / "more", "--out", folder / "model", "--labels", "expression", "--set", TINY)
    bundle = folder / "model" / "bundle"
    run("evaluate", "--bundle", bundle, "--data", folder / "data", "--out", folder / "report", "--set", TINY)
    run("export", "--bundle", bundle, "--out", folder / "export")
    return folder


def test_five_steps_on_plain_folders(work: Path) -> None:
    judged = json.loads((work / "report" / "report.json").read_text())
    assert judged["decision"]["verdict"] in {"promote", "hold", "reject"}
    assert np.isfinite(judged["metrics"]["domain/frechet"])
    counts = [json.loads((work / name / "dataset.json").read_text())["counts"] for name in ("data", "more")]
    assert counts[1]["train"]["total"] == 2 * counts[0]["train"]["total"]
    assert counts[1]["holdout"] == counts[0]["holdout"]
    assert (work / "report" / "report.html").read_text().startswith("<!doctype html>")
    for path in ("export/bundle/bundle.json", "export/saved_model/saved_model.pb", "export/samples/all.png"):
        assert (work / path).is_file()


def test_no_tracking_unless_asked(work: Path) -> None:
    assert not list(work.rglob("mlflow.db"))


def test_an_unconditional_model_of_the_same_set(work: Path, tmp_path: Path) -> None:
    run("train", "--data", work / "data", "--out", tmp_path, "--labels", "", "--set", TINY)
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["labels"] == {}


def test_bad_input_is_refused_in_one_line(work: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(3):
        (texts / f"{number}.jpg").write_text("no picture")
    out, bundle = tmp_path / "out", work / "model" / "bundle"
    cases = {
        "does not exist": ("ingest", tmp_path / "absent"),
        "empty": ("ingest", tmp_path / "empty"),
        "of the images cannot be used": ("ingest", texts),
        "Input should be 32, 64, 128 or 256": ("ingest", "toyfaces", "--set", "ingest.image_size=100"),
        "'beard'": ("ingest", "toyfaces", "--labels", "beard"),
        "is not an image set": ("train", "--data", tmp_path / "empty"),
        "is not a model bundle": ("export", "--bundle", tmp_path / "empty"),
        "absent is not a model bundle": (
            "evaluate", "--bundle", bundle, "--data", work / "data", "--champion", tmp_path / "absent",
        ),
        "mlflow": ("export", "--bundle", bundle, "--tracking-uri", "http://127.0.0.1:9"),
    }  # fmt: skip
    for said, arguments in cases.items():
        line = refused(*arguments, "--out", out)
        assert line.startswith("error: ")
        assert said.lower() in line.lower(), line
        assert not out.exists()


def documented() -> list[tuple[str, str]]:
    """Every `faceforge ...` command in the documentation and in help texts."""
    texts = [(path.name, path.read_text()) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    joined = [(name, re.sub(r"\\\n\s*", " ", text)) for name, text in texts]
    found = [
        (name, match[1].split("  #")[0].strip())
        for name, text in joined
        for match in re.finditer(r"^(?:    |\$ )(?:\.venv/bin/)?faceforge (.+)$", text, re.M)
    ]
    return [(name, line) for name, line in found if "SOURCE" not in line]


@pytest.mark.parametrize(("page", "line"), documented())
def test_documented_commands_exist_with_their_options(page: str, line: str) -> None:
    command: click.Command = main
    arguments = shlex.split(line)
    context = click.Context(main)
    while isinstance(command, click.Group):
        name, chosen, arguments = command.resolve_command(context, arguments)
        assert chosen is not None
        command = chosen
        context = click.Context(command, parent=context, info_name=name)
    command.make_context(context.info_name, arguments, parent=context.parent)


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(), re.M):
            assert name in targets, f"{page.name}: make {name}"


def test_a_name_that_is_not_utf8_is_refused_in_one_line(tmp_path: Path) -> None:
    command: list[str | bytes] = [sys.executable, "-m", "faceforge.cli.main", "ingest", "toyfaces", "--out", b"o\xff"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == "error: 'o\\udcff' is not valid UTF-8; rename the file or folder\n"
