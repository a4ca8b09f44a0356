"""The process that executes a local run with kfp: `python -m pipelines.local.worker processes|containers`.

kfp keeps its settings in globals, prints freely, and leaves child processes and temporary folders when it is stopped.
A separate process group confines all of this; `pipelines.local.worker_process` starts it, reads its output and ends it.
The imports take seconds, so the worker is started before the checks of a run, and then receives the run's folder and
environment by standard input. When standard input closes, the parent process has died or refused the run, and the
worker kills its process group.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pipelines.definition.compile import compile_pipeline
from pipelines.definition.definitions import CLOSE, DEFINITIONS
from pipelines.local.containers import docker_runner
from pipelines.local.processes import process_runner
from pipelines.local.run_folder import RunFolder


def main(in_containers: bool) -> int:
    """Runs the pipeline of the run folder that the parent process names; returns 0 if all steps have succeeded."""
    warnings.simplefilter("ignore")
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    with nullcontext() if in_containers else process_runner() as runner:
        folder, _lock = _receive()
        threading.Thread(target=_die_with_parent, daemon=True).start()
        return _run_pipeline(folder, folder.read(), runner or docker_runner(folder))


def _receive() -> tuple[RunFolder, int]:
    """Waits for what to run, and takes over the environment; also returns the descriptor that keeps the run locked."""
    with socket.socket(fileno=os.dup(0)) as channel:
        descriptors = socket.recv_fds(channel, 1, 1)[1]
    line = sys.stdin.readline()
    if not descriptors or not line:
        _kill_group()
    order = json.loads(line)
    os.environ.update(order["environment"])
    tempfile.tempdir = None  # TMPDIR is another
    return RunFolder(Path(order["folder"])), descriptors[0]


def _run_pipeline(folder: RunFolder, state: dict[str, Any], runner: Any) -> int:
    from kfp import components, local

    if state["compile"]:
        compile_pipeline(folder.package, definition=DEFINITIONS[state.get("pipeline", "training")])
    remove_unfinished(folder.steps)
    pipeline = components.load_component_from_text(with_caching(folder.package.read_text(encoding="utf-8")))
    local.init(
        runner=runner,
        pipeline_root=str(folder.steps),
        # kfp deletes this folder after the run.
        workspace_root=str(folder.scratch / "workspace"),
        raise_on_error=True,
        enable_caching=True,
        cache_root=str(folder.root / "finished"),
    )
    try:
        task = pipeline(**state["arguments"])
    except RuntimeError as error:
        print(error)
        return 1
    folder.write_result({name: _as_text(value) for name, value in task.outputs.items()})
    return 0


def with_caching(package: str) -> str:
    """The pipeline's YAML with caching enabled for all steps but `close`, and without its platform document.

    The cache lies in the run's own folder, so a hit means that this run has already finished the step: this is how a
    continued run skips steps.
    """
    import yaml

    spec = next(iter(yaml.safe_load_all(package)))
    for component in [spec["root"], *spec["components"].values()]:
        for name, task in component.get("dag", {}).get("tasks", {}).items():
            task["cachingOptions"] = {"enableCache": name != CLOSE}
    return yaml.safe_dump(spec)


def remove_unfinished(steps: Path) -> None:
    """Deletes the folders of steps that were stopped before they wrote their outputs."""
    for step in steps.glob("*/*"):
        # The executor writes this file last.
        if not step.name.startswith(".") and step.is_dir() and not (step / "executor_output.json").is_file():
            shutil.rmtree(step, ignore_errors=True)
    for attempt in steps.glob("*"):
        if attempt.is_dir() and not any(attempt.iterdir()):
            attempt.rmdir()


def _as_text(value: Any) -> str:
    """An output as text: a parameter's value, or the path of an artifact."""
    return str(getattr(value, "path", value))


def _die_with_parent() -> None:
    while os.read(0, 1024):
        pass
    _kill_group()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(in_containers=sys.argv[1] == "containers"))
