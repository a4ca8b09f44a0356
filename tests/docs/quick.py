"""Runs documented commands in this process, so that TensorFlow and MLflow are imported once.

A real shell reads the command line (quotes, `~`, `&&`, variables, make), with recorders in place of the programs; what
they were called with is then run here by the same command line code, with small numbers added to the settings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from faceforge.cli.main import main
from faceforge.config import resolve
from pipelines.local.run_folder import RunFolder
from tests.docs.pages import ROOT

RECORDER = f"""#!{sys.executable} -IS
import json, os, sys
kept = {{k: v for k, v in os.environ.items() if k.startswith(("KF_", "MLFLOW_", "FACEFORGE_", "_FACEFORGE_"))}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], kept]) + "\\n")
"""
PROGRAMS = ("faceforge", "mlflow", "pytest", "ruff", "mypy", "lint-imports", "python")
SETTINGS = (
    "ingest.limit=320, ingest.holdout=0.5, ingest.image_size=32, ingest.max_rejects=0.9, model.latent_size=8, "
    "model.width=4, model.max_width=8, train.kimg=0.1, train.batch_size=8, train.log_points=20, train.grids=5, "
    "train.checkpoints=1, evaluate.samples=100, evaluate.resamples=100, evaluate.classifier_epochs=1, "
    "evaluate.min_label_agreement=0, evaluate.min_class_agreement=0, evaluate.min_class_diversity=0, "
    "evaluate.max_frechet_ratio=1e9, evaluate.min_recall_ratio=0"
)
FUTURE = 4e9  # seconds since 1970
SMALLER = {
    "--per-class 500": "--per-class 20",
    "per_class=500": "per_class=20",
    "/srv/faces": "srv/faces",
}
"""Numbers and places of the documentation, and what the test takes instead."""


@dataclass(frozen=True)
class Call:
    """A program that a command line has started."""

    program: str
    arguments: list[str]
    environment: dict[str, str]


def recorders(folder: Path) -> Path:
    """A folder like a virtual environment's, whose programs only record their arguments."""
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        program = folder / "bin" / name
        program.write_text(RECORDER)
        program.chmod(0o755)
    for stamp in ("cpu", "gpu", "dev"):
        (folder / f".installed-{stamp}").touch()
        os.utime(folder / f".installed-{stamp}", (FUTURE, FUTURE))  # whatever is edited meanwhile
    return folder


def calls(line: str, venv: Path, home: Path) -> list[Call]:
    """The programs that a shell starts for a command line; `make` runs the Makefile of the repository."""
    record = venv / "calls"
    record.write_text("")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "KF_", "MLFLOW_"))}
    environment = {**clean, "PATH": f"{venv / 'bin'}:{clean['PATH']}", "HOME": str(home), "CALLS": str(record)}
    line = line.replace("make ", f"make --no-print-directory -C {ROOT} VENV={venv} ", 1) if "make " in line else line
    done = subprocess.run(["bash", "-ec", line], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return [Call(*json.loads(text)) for text in record.read_text().splitlines()]


def parse(arguments: list[str]) -> tuple[click.Command, dict[str, Any]]:
    """The `faceforge` command for these arguments, and its parameters; also checks preset and settings."""
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)  # type: ignore[assignment]
        assert command is not None, name
        context = click.Context(command, parent=context, info_name=name)
    found = command.make_context(context.info_name, list(arguments), parent=context.parent)
    settings = found.params.get("settings")
    if isinstance(settings, tuple) and "preset" in found.params and "per_class" not in found.params:
        resolve(found.params["preset"], ", ".join(settings))
    return command, found.params


def run(call: Call) -> Result:
    """Runs a `faceforge` call here, with small numbers added to its settings if it takes any."""
    if "_FACEFORGE_COMPLETE" in call.environment:
        return CliRunner().invoke(main, env=call.environment, prog_name="faceforge")
    command, _ = parse(call.arguments)
    arguments = list(call.arguments)
    has_settings = any("--set" in parameter.opts for parameter in command.params)
    if has_settings and "synthesis" not in arguments:
        arguments += ["--set", SETTINGS]
    return CliRunner().invoke(main, arguments, env=call.environment, catch_exceptions=False)


class StepsHere:
    """In place of `pipelines.local.run.WorkerProcess`: the steps of a run, one after the other, in this process.

    Networks are trained and evaluated once, for the first run; for later ones (other images) the image sets are made,
    and of the same model another version is registered. tests/pipelines/local runs whole pipelines as kfp does.
    """

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}

    @contextmanager
    def __call__(self, *, in_containers: bool) -> Iterator[StepsHere]:
        """Takes the place of the constructor."""
        yield self

    def execute(self, folder: RunFolder, lock: int, console: object, containers: object) -> tuple[int, int]:
        """Runs the pipeline of a run folder; returns the exit code and the signal."""
        from faceforge.steps.tracked import Tracking

        values = folder.read()["arguments"]
        tracking = Tracking(values["tracking_uri"], values["experiment"], values["run_key"])
        run_pipeline = self._synthesis if folder.read()["pipeline"] == "synthesis" else self._training
        folder.write_result(run_pipeline(folder.steps, values, tracking))
        return 0, 0

    def _training(self, steps: Path, values: dict[str, str], tracking: Any) -> dict[str, str]:
        from faceforge.steps.augment import run_augment
        from faceforge.steps.ingest import run_ingest
        from faceforge.steps.register import run_register

        recipe: dict[str, Any] = {"preset": values["preset"], "settings": values["settings"], "tracking": tracking}
        name = values["model_name"]
        run_ingest(source=values["source"], labels=values["labels"] or None, out=steps / "data", model_name=name,
                   for_evaluation=True, **recipe)  # fmt: skip
        run_augment(data=steps / "data", out=steps / "augmented", **recipe)
        if not self._first:
            self._first = {"name": name, **self._train(steps, recipe, name)}
        version = ""
        if name == self._first["name"]:
            version = run_register(
                exported=self._first["exported"],
                report=self._first["report"],
                decision="hold" if "version" in self._first else self._first["decision"],
                model_name=name,
                tracking=tracking,
            )
            self._first["version"] = version
        kept = {key: str(self._first[key]) for key in ("report", "exported", "decision", "bundle")}
        return kept | {"version": version or "1"}

    def _train(self, steps: Path, recipe: dict[str, Any], name: str) -> dict[str, Any]:
        from faceforge.steps.evaluate import run_evaluate
        from faceforge.steps.export import run_export
        from faceforge.steps.train import run_train

        bundle = run_train(data=steps / "augmented", work=steps / "model", model_name=name, **recipe)
        report = steps / "report"
        decision = run_evaluate(bundle=bundle, data=steps / "data", out=report, model_name=name, **recipe)
        run_export(bundle=bundle, out=steps / "exported", tracking=recipe["tracking"])
        return {"bundle": bundle, "report": report, "exported": steps / "exported", "decision": decision}

    def _synthesis(self, steps: Path, values: dict[str, str], tracking: Any) -> dict[str, str]:
        from faceforge.steps.check import run_check
        from faceforge.steps.generate import run_generate
        from faceforge.steps.publish import run_publish

        data = Path(values["data"]) if values["data"] else None
        settings = f"{values['settings']}, min_label_agreement=0"
        run_generate(model=values["model"], data=data, settings=settings, out=steps / "set", tracking=tracking)
        verdict = run_check(dataset=steps / "set", out=steps / "check", tracking=tracking)
        address = run_publish(
            dataset=steps / "set", report=steps / "check", destination=values["destination"] or None, tracking=tracking
        )
        return {"dataset": str(steps / "set"), "report": str(steps / "check"), "verdict": verdict, "address": address}
