"""Runs the compiled pipeline on this machine; a stopped or failed run can be continued.

`run_local` keeps the state, `pipelines.local.worker` runs kfp in a process group of its own, and
`pipelines.local.console` selects the output lines to show.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from faceforge.config import Config
from faceforge.data.preprocess.face_model import check_face_model
from faceforge.errors import FaceForgeError
from faceforge.terminal import relative
from pipelines.definition.definitions import DEFINITIONS
from pipelines.definition.parameters import PipelineParameters, check_locally, run_identity
from pipelines.local import fork_server
from pipelines.local.console import Console
from pipelines.local.containers import StepContainers, check_containers
from pipelines.local.run_folder import FINISHED, RunFolder, create, find_unfinished, fingerprint
from pipelines.local.summary import copy_report, summary

if TYPE_CHECKING:
    from faceforge.tracking.runs import Status

GRACE_SECONDS = 30.0
"""Time that a step has to save its state after SIGINT or SIGTERM."""

_NO_MLFLOW_LINKS = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"  # two lines per run; the summary has its own


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
    checked, config = check_locally(parameters)
    if network:
        check_containers(checked.tracking_uri)
    elif isinstance(config, Config) and config.evaluate.face_model:  # a container has files of its own
        check_face_model(config.evaluate.face_model, "evaluate.face_model")
    runs = runs.absolute()
    digest = fingerprint(run_identity(checked, config))
    unfinished = None if fresh else find_unfinished(runs, digest)
    folder = unfinished or create(runs, digest)
    with folder.lock() as lock:
        _prepare(folder, checked, package, network)
        show(f"run {folder.key} · {'continued · ' if unfinished else ''}log {relative(folder.log)}")
        with folder.log.open("a", encoding="utf-8") as log, _scratch(folder):
            log.write(f"=== attempt {folder.read()['attempts']} of run {folder.key}\n")
            console = Console(DEFINITIONS[checked.pipeline].steps, log, show)
            try:
                code, stopped_by = _execute(folder, lock, console, StepContainers(folder.key) if network else None)
            except BaseException:
                folder.update(status="interrupted")
                raise
        if stopped_by:
            folder.update(status="interrupted")
            _finish_parent(folder, checked, "KILLED", "stopped by a signal")
            raise InterruptedRunError("stopped; the same command continues this run", stopped_by)
        if code:
            folder.update(status="failed")
            _finish_parent(folder, checked, "FAILED", console.reason)
            raise PipelineFailedError(_failure(folder, console, code))
        copy_report(folder)
        folder.update(status=FINISHED)
        _finish_parent(folder, checked, "FINISHED")
    for line in summary(folder, checked, time.monotonic() - started):
        show(line)
    return folder


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


def _execute(folder: RunFolder, lock: int, console: Console, containers: StepContainers | None) -> tuple[int, int]:
    """Runs the worker to its end; returns its exit code and the signal that stopped it (0 = none)."""
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "GIT_PYTHON_REFRESH": "quiet",
        _NO_MLFLOW_LINKS: "true",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder.scratch),
    }
    worker = subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", "pipelines.local.worker", str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
        env=environment,
        start_new_session=True,
        pass_fds=(lock,),
    )
    stop = _Stop(worker, console, containers)
    try:
        with stop.on_signals():
            assert worker.stdout is not None  # noqa: S101
            for line in worker.stdout:
                console.feed(line)
                stop.check()
            code = worker.wait()
    finally:
        stop.kill()
        worker.wait()
    return code, stop.signum


class _Stop:
    """Stops a worker: SIGINT to the running step, so that it can save its state, and later SIGKILL to everything."""

    def __init__(self, worker: subprocess.Popen[str], console: Console, containers: StepContainers | None) -> None:
        self.signum = 0
        self._worker, self._console, self._containers = worker, console, containers
        self._step = ""
        self._timer = threading.Timer(GRACE_SECONDS, self.kill)
        self._timer.daemon = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM inside the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Kills the worker if another step has started after the signal: the first one ignored it."""
        if self.signum and self._console.current != self._step:
            self.kill()

    def kill(self) -> None:
        """Kills the worker's process group and its containers."""
        self._timer.cancel()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._worker.pid, signal.SIGKILL)
        if self._containers:
            with suppress(FaceForgeError):  # the engine is gone, and the containers with it
                self._containers.remove()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self.signum:
            self.kill()  # the second signal does not wait
            return
        self.signum, self._step = signum, self._console.current
        if not self._interrupt_step():
            self.kill()
            return
        self._timer.start()

    def _interrupt_step(self) -> bool:
        """Sends SIGINT to the step's processes; returns False if there is none.

        The worker gets no signal: it must continue to read their output. Shells and the fork server are no steps.
        """
        import psutil

        if self._containers:
            return self._containers.interrupt()
        interrupted = False
        try:
            children = psutil.Process(self._worker.pid).children(recursive=True)
        except psutil.Error:
            return False
        for process in children:
            try:
                # The server's forks have its command line, but another parent.
                server = process.ppid() == self._worker.pid and fork_server.__name__ in process.cmdline()
                if not server and process.name() not in ("sh", "dash", "bash"):
                    process.send_signal(signal.SIGINT)
                    interrupted = True
            except psutil.Error:
                continue
        return interrupted


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

    os.environ.setdefault(_NO_MLFLOW_LINKS, "true")
    try:
        finish_parent(folder.key, status, parameters.experiment, reason)
    except Exception as error:
        with folder.log.open("a", encoding="utf-8") as log:
            log.write(f"the parent run could not be ended as {status}: {json.dumps(str(error))}\n")
