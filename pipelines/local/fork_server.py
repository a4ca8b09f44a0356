"""Runs Python modules as forks of warm processes: `python -m pipelines.local.fork_server LIGHT HEAVY FIRST LATER`.

An interpreter needs seconds to import kfp, MLflow and TensorFlow, and seconds to tear them down when it ends. So one
process, the fork server, imports them once, and each step of a local run is a fork of it: still a process of its own,
with its own memory, environment and exit code.

    worker ── request ──> fork server ── fork ──> waits for the step and reports its exit code ── fork ──> step

The first steps do not need TensorFlow and should not wait for it. So the server forks once between its imports: the
fork answers requests for light steps at once, while the server imports TensorFlow and then answers the others.

The server only imports. It never initialises TensorFlow's runtime, JAX or CUDA, none of which survives a fork; each
step does so itself, as a fresh interpreter would.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

FIRST: tuple[str, ...] = (
    "kfp.dsl.executor",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",  # of the default tracking URI, a SQLite database
    "mlflow.store.model_registry.sqlalchemy_store",
    "git",  # MLflow finds the commit by it
    "faceforge.data.ingest.build",
    "faceforge.data.augment",
    "cv2",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
"""Modules that light steps use; imported before the first step starts."""

LATER: tuple[str, ...] = (
    "faceforge.training.train",
    "faceforge.evaluation.evaluate",
    "faceforge.export.export",
    "faceforge.inference.registration",
)
"""Modules that import TensorFlow or JAX; imported while the first step may be running."""

_FAILED = 1


class ForkServer:
    """A fork server as its client sees it; the end of the `with` block ends the server."""

    def __init__(self) -> None:
        self._light, light = socket.socketpair()
        self._heavy, heavy = socket.socketpair()
        with light, heavy:
            channels = (light.fileno(), heavy.fileno())
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", __name__, *map(str, channels), ",".join(FIRST), ",".join(LATER)],
                stdin=subprocess.DEVNULL,
                pass_fds=channels,
                env={**os.environ, "_KFP_RUNTIME": "true"},  # kfp then imports only what a step needs
            )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._light.close()  # ends the fork for light steps
        self._heavy.close()
        self._process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether the server can start processes."""
        return self._process.poll() is None

    def run(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], *, light: bool = False) -> int:
        """Runs `python -m MODULE ARGUMENTS` and prints its output line by line.

        Args:
            module: name of the module.
            arguments: its command line.
            environment: variables to add to those that the server was started with.
            light: it does not need what `LATER` imports, and so does not wait for it.

        Returns:
            the exit code; minus the number of the signal that ended the process.
        """
        status, theirs = Pipe()
        reader, writer = os.pipe()
        with status, os.fdopen(reader, encoding="utf-8", errors="replace") as output:
            try:
                with theirs, os.fdopen(writer, "wb"):
                    socket.send_fds(self._light if light else self._heavy, [b"\0"], [theirs.fileno(), writer])
                status.send_bytes(json.dumps([module, list(arguments), dict(environment)]).encode())
                for line in output:
                    print(line, end="")
                return int(status.recv_bytes())
            except (EOFError, ConnectionError):  # the server or the process that waits was killed
                return -signal.SIGKILL


def serve(light: socket.socket, heavy: socket.socket, first: Sequence[str], later: Sequence[str]) -> None:
    """Imports modules and answers requests of `ForkServer.run` until the client closes the channels."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for the steps
    _load(first)
    if not os.fork():
        heavy.close()
        _answer(light)
        os._exit(0)
    light.close()
    _load(later)
    _answer(heavy)


def _answer(channel: socket.socket) -> None:
    while descriptors := socket.recv_fds(channel, 1, 2)[1]:
        waiting = os.fork()
        if not waiting:
            try:
                channel.close()
                _attend(Connection(descriptors[0]), descriptors[1])
            finally:
                os._exit(_FAILED)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(waiting, 0)


def _load(modules: Sequence[str]) -> None:
    """Imports modules, and keeps garbage collections of the forks away from them so that their memory stays shared."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # the step that needs the module fails with the reason
            print(f"{module} could not be imported in advance: {error}", flush=True)
    gc.freeze()


def _attend(status: Connection, output: int) -> NoReturn:
    """Forks the step, waits for it and reports its exit code."""
    module, arguments, environment = json.loads(status.recv_bytes())
    step = os.fork()
    if not step:
        status.close()
        _become_step(output, environment)
        _run(module, arguments)
    os.close(output)
    code = os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])
    status.send_bytes(str(code).encode())
    os._exit(0)


def _become_step(output: int, environment: Mapping[str, str]) -> None:
    """Gives this process the signals, output and environment that a new interpreter starts with."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another than when a module asked for it


def _run(module: str, arguments: Sequence[str]) -> NoReturn:
    """Runs a module as a program and ends this process as an interpreter ends, but does not tear the modules down."""
    code = _FAILED
    try:
        code = _exit_code(module, arguments)
        threading._shutdown()  # type: ignore[attr-defined]  # joins threads; as multiprocessing ends its forks
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _exit_code(module: str, arguments: Sequence[str]) -> int:
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return _FAILED
    except BaseException as error:
        traceback.print_exc()
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else _FAILED
    return 0


if __name__ == "__main__":
    _light, _heavy = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    serve(_light, _heavy, *(names.split(",") if names else () for names in sys.argv[3:5]))
