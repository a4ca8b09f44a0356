"""SIMULATED steps: with this folder on PYTHONPATH, the modules of `faceforge.steps` are stand-ins, in every process.

The pipeline, its components, kfp and the local runner stay the real ones. FACEFORGE_STANDIN names a folder: every
call is noted in its `calls.txt`; a file `fail-STEP` makes that step fail with the file's text (`crash-STEP`: with a
traceback), a file `block-STEP` makes it count until it is interrupted, keeping count in `checkpoints`.
"""

import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _work(step: str, arguments: dict[str, Any]) -> None:
    from faceforge.errors import FaceForgeError

    folder = Path(os.environ["FACEFORGE_STANDIN"])
    texts = {name: str(value) for name, value in arguments.items()}
    for paths in (value for value in arguments.values() if isinstance(value, list)):
        assert all(path.is_dir() for path in paths), paths
    with (folder / "calls.txt").open("a") as calls:
        calls.write(json.dumps([step, texts | {"run_key": arguments["tracking"].run_key}]) + "\n")
    print(f"{step} 10/10 images · 5/s")
    print("2026/11/22 08:00:00 INFO mlflow.tracking: chatter of a library")
    if (folder / f"fail-{step}").is_file():
        raise FaceForgeError((folder / f"fail-{step}").read_text())
    if (folder / f"crash-{step}").is_file():
        raise RuntimeError((folder / f"crash-{step}").read_text())


def _write(out: Path, **files: str) -> None:
    out.mkdir(parents=True)
    for name, text in files.items():
        (out / name.replace("_", ".")).write_text(text)


def _train(**arguments: Any) -> None:
    _work("train", arguments)
    kept = Path(arguments["checkpoints"]) / "count.txt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    count = int(kept.read_text()) if kept.is_file() else 0
    print(f"train goes on from {count}")
    blocker = Path(os.environ["FACEFORGE_STANDIN"]) / "block-train"
    try:
        while blocker.is_file():
            count += 1
            (blocker.parent / f"training-{os.getpid()}").touch()
            time.sleep(0.05)
    except KeyboardInterrupt:
        if blocker.read_text() == "stubborn":
            time.sleep(600)
        for line in range(200):  # a process that prints much must not block when nobody reads
            print(f"saving {line}", flush=True)
        kept.write_text(str(count))
        raise SystemExit(130) from None
    _write(arguments["out"], bundle_json=str(count))


def _evaluate(**arguments: Any) -> str:
    _work("evaluate", arguments)
    report = {"samples_png": "picture", "summary_txt": "domain/frechet 1.0", "report_json": "{}"}
    _write(arguments["out"], **report, report_html="<html>")
    arguments["page"].write_text("<html>")
    return "promote"


def _register(**arguments: Any) -> str:
    _work("register", arguments)
    arguments["page"].write_text("version 7")
    return "7"


def _select(**arguments: Any) -> str:
    _work("select", arguments)
    _write(arguments["out"], study_html="<html>", summary_txt="domain/frechet 1.0")
    return "train.learning_rate=0.002"


def _step(step: str, result: str = "") -> Callable[..., str]:
    def work(**arguments: Any) -> str:
        _work(step, arguments)
        if "out" in arguments:
            _write(arguments["out"], done_txt=step)
        return result

    return work


def _replace(module: str, **members: Callable[..., object]) -> None:
    stand_in = types.ModuleType(f"faceforge.steps.{module}")
    stand_in.__dict__.update(members)
    sys.modules[stand_in.__name__] = stand_in


if "FACEFORGE_STANDIN" in os.environ:
    from pipelines.local import fork_server

    STEPS: dict[str, Callable[..., object]] = {
        "ingest": _step("ingest"),
        "augment": _step("augment"),
        "train": _train,
        "evaluate": _evaluate,
        "export": _step("export"),
        "register": _register,
        "split": _step("split"),
        "search": _step("search"),
        "choose": _step("choose"),
        "repeat": _step("repeat"),
        "select": _select,
        "close": lambda tracking: print(f"closed {tracking.run_key}"),
    }
    for name, function in STEPS.items():
        members: dict[str, Callable[..., object]] = {f"run_{name}": function}
        _replace(name, **members)
    artifacts: dict[str, Callable[..., object]] = {
        name: lambda *_: {}
        for name in ("image_set_metadata", "bundle_metadata", "training_metrics", "evaluation_metrics")
    }
    artifacts["show_metrics"] = lambda artifact, metrics: Path(artifact.path).write_text("{}")
    _replace("artifacts", **artifacts)
    fork_server.FIRST, fork_server.LATER = ("kfp.dsl.executor",), ()  # the simulated steps need nothing else
    _replace("training_page", write_training_page=lambda work, path, links: path.write_text("<html>"))
