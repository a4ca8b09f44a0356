"""The worker of a local run as the process that started it sees it: starts it, reads its output, stops and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from faceforge.errors import FaceForgeError
from pipelines.local.console import Console
from pipelines.local.containers import StepContainers
from pipelines.local.run_folder import RunFolder

GRACE_SECONDS = 30.0
"""Time that a step has to save its state after SIGINT or SIGTERM."""

NO_MLFLOW_LINKS = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"  # two lines per run; the summary has its own


class WorkerProcess:
    """`python -m pipelines.local.worker`; the end of the `with` block kills it and all that it has started.

    It imports what the steps need as soon as it is started, beside the checks of its parent, and waits for `execute`.
    """

    def __init__(self, *, in_containers: bool) -> None:
        self._channel, theirs = socket.socketpair()
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "GIT_PYTHON_REFRESH": "quiet",
            NO_MLFLOW_LINKS: "true",
            **os.environ,
            "PYTHONUNBUFFERED": "1",
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "pipelines.local.worker", "containers" if in_containers else "processes"],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                bufsize=1,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        self._channel.close()
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdout.close()

    def execute(
        self, folder: RunFolder, lock: int, console: Console, containers: StepContainers | None
    ) -> tuple[int, int]:
        """Runs the pipeline of a run folder to its end.

        Args:
            folder: what to run.
            lock: descriptor of the run's lock; the worker holds it too.
            console: gets each line of output.
            containers: those of the run; None = steps are processes.

        Returns:
            the worker's exit code, and the number of the signal that stopped it (0 = none).
        """
        stop = _Stop(self, console, containers)
        try:
            with stop.on_signals():
                self._send(folder, lock)
                assert self._process.stdout is not None  # noqa: S101
                for line in self._process.stdout:
                    console.feed(line)
                    stop.check()
                code = self._process.wait()
        finally:
            stop.kill()
        return code, stop.signum

    def kill(self) -> None:
        """Kills the worker's process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def interrupt_steps(self) -> None:
        """Sends SIGINT to all processes that the worker has started; the fork server ignores it.

        The worker gets none: it must continue to read the output of the steps. Shells would end before their step.
        """
        import psutil

        with suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if process.name() not in ("sh", "dash", "bash"):
                        process.send_signal(signal.SIGINT)

    def _send(self, folder: RunFolder, lock: int) -> None:
        """Sends run folder, lock and environment, which the checks may have changed since the worker was started."""
        order = {"folder": str(folder.root), "environment": {**os.environ, "TMPDIR": str(folder.scratch)}}
        with suppress(ConnectionError):  # the worker has ended; its output says why
            socket.send_fds(self._channel, [b"\0"], [lock])
            self._channel.sendall(json.dumps(order).encode() + b"\n")


class _Stop:
    """Stops a worker: SIGINT to the running step, so that it can save its state, and later SIGKILL to everything."""

    def __init__(self, worker: WorkerProcess, console: Console, containers: StepContainers | None) -> None:
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
        self._worker.kill()
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
        """Sends SIGINT to the step; returns False if there is none, or none that has begun its work."""
        if self._containers:
            return self._containers.interrupt()
        if self._console.step_at_work:
            self._worker.interrupt_steps()
        return self._console.step_at_work
