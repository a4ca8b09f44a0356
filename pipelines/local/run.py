"""Runs the compiled pipeline on this machine; a stopped or failed run can be continued.

`run_local` checks the parameters and keeps the state, `pipelines.local.worker` runs kfp in a process group of its own,
and `pipelines.local.console` selects the output lines to show.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.config import Config
from faceforge.data.preprocess.face_model import check_face_model
from faceforge.errors import FaceForgeError
from faceforge.terminal import relative
from pipelines.definition.definitions import DEFINITIONS
from pipelines.definition.parameters import PipelineParameters, check_locally, run_identity
from pipelines.local.console import Console
from pipelines.local.containers import StepContainers, check_containers
from pipelines.local.run_folder import FINISHED, RunFolder, create, find_unfinished, fingerprint
from pipelines.local.summary import copy_report, summary
from pipelines.local.worker_process import NO_MLFLOW_LINKS, WorkerProcess

if TYPE_CHECKING:
    from pydantic import BaseModel

    from faceforge.tracking.runs import Status


class PipelineFailedError(FaceForgeError):
    """A step has failed; the message has its name, the reason and the path of the log."""


class InterruptedRunError(FaceForgeError):
    """The run was stopped by a signal and can be continued."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def run_local(
    parameters: PipelineParameters,
    *,
    runs: Path = Path("runs"),
    fresh: bool = False,
    package: Path | None = None,
    network: str = "",
    show: Callable[[str], None] = print,
) -> RunFolder:
    """Runs the pipeline and returns its run folder once all steps have succeeded.

    An unfinished run with the same parameters is continued under its run key: finished steps are skipped, training
    resumes from its last checkpoint, and its MLflow runs are reopened.

    Args:
        parameters: checked before the first step starts.
        runs: folder of run folders.
        fresh: start a new run even if there is an unfinished one.
        package: compiled pipeline to run; None = compile the definition with default settings.
        network: run steps in containers in this network (`pipelines.local.containers`); '' = as processes.
        show: called with each line for the user.

    Raises:
        PipelineFailedError: a step failed.
        InterruptedRunError: SIGINT or SIGTERM arrived.
        FaceForgeError: a parameter is invalid, or the same run is already in progress.
    """
    started = time.monotonic()
    with WorkerProcess(in_containers=bool(network)) as worker:  # first, because it imports while this process checks
        checked, config = _checked(parameters, network)
        runs = runs.absolute()
        digest = fingerprint(run_identity(checked, config))
        unfinished = None if fresh else find_unfinished(runs, digest)
        folder = unfinished or create(runs, digest)
        with folder.lock() as lock:
            _prepare(folder, checked, package, network)
            show(f"run {folder.key} · {'continued · ' if unfinished else ''}log {relative(folder.log)}")
            _execute(folder, checked, worker, lock, show)
            copy_report(folder)
            folder.update(status=FINISHED)
            _finish_parent(folder, checked, "FINISHED")
    for line in summary(folder, checked, time.monotonic() - started):
        show(line)
    return folder


def _checked(parameters: PipelineParameters, network: str) -> tuple[PipelineParameters, BaseModel]:
    checked, config = check_locally(parameters)
    if network:
        check_containers(checked.tracking_uri)
    elif isinstance(config, Config) and config.evaluate.face_model:  # a container has files of its own
        check_face_model(config.evaluate.face_model, "evaluate.face_model")
    return checked, config


def _prepare(folder: RunFolder, parameters: PipelineParameters, package: Path | None, network: str) -> None:
    if package is not None:
        shutil.copyfile(package, folder.package)
    arguments = {
        **parameters.model_dump(),
        "run_key": folder.key,
        "checkpoint_root": str(folder.root.parent),
    }
    attempts = int(folder.read().get("attempts", 0)) + 1
    folder.update(
        pipeline=parameters.pipeline,
        arguments=arguments,
        compile=package is None,
        network=network,
        status="running",
        attempts=attempts,
    )


def _execute(
    folder: RunFolder, parameters: PipelineParameters, worker: WorkerProcess, lock: int, show: Callable[[str], None]
) -> None:
    """Runs the steps to their end; raises an error if one has failed or a signal has stopped them."""
    with folder.log.open("a", encoding="utf-8") as log, _scratch(folder):
        state = folder.read()
        log.write(f"=== attempt {state['attempts']} of run {folder.key}\n")
        console = Console(DEFINITIONS[parameters.pipeline].steps, log, show)
        containers = StepContainers(folder.key) if state["network"] else None
        try:
            code, stopped_by = worker.execute(folder, lock, console, containers)
        except BaseException:
            folder.update(status="interrupted")
            raise
    if stopped_by:
        folder.update(status="interrupted")
        _finish_parent(folder, parameters, "KILLED", "stopped by a signal")
        raise InterruptedRunError("stopped; the same command continues this run", stopped_by)
    if code:
        folder.update(status="failed")
        _finish_parent(folder, parameters, "FAILED", console.reason)
        raise PipelineFailedError(_failure(folder, console, code))


@contextmanager
def _scratch(folder: RunFolder) -> Iterator[None]:
    """A folder for temporary files, of which kfp leaves one per step."""
    shutil.rmtree(folder.scratch, ignore_errors=True)
    folder.scratch.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder.scratch, ignore_errors=True)


def _failure(folder: RunFolder, console: Console, code: int) -> str:
    problem = f"step {console.failed} failed" if console.failed else f"the pipeline ended with code {code}"
    reason = console.reason or "no reason was given"
    return f"{problem}: {reason} (log: {relative(folder.log)}; the same command continues this run)"


def _finish_parent(folder: RunFolder, parameters: PipelineParameters, status: Status, reason: str = "") -> None:
    """Ends the parent MLflow run (steps end their own). An unreachable MLflow must not hide the outcome of the run."""
    from faceforge.tracking.runs import finish_parent

    os.environ.setdefault(NO_MLFLOW_LINKS, "true")
    try:
        finish_parent(folder.key, status, parameters.experiment, reason)
    except Exception as error:
        with folder.log.open("a", encoding="utf-8") as log:
            log.write(f"the parent run could not be ended as {status}: {json.dumps(str(error))}\n")
