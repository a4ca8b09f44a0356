"""Worker processes for untrusted input: an item that kills its process is isolated, and the others continue.

Workers are fresh interpreters that receive items over a socket. They are no forks of this process, which may hold
locks, threads and neural networks, and no `multiprocessing` children, which would run the user's script once more.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socketpair
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from faceforge.data.pixels import map_ordered

TIMEOUT_SECONDS = 300.0  # for one batch
# One process per core needs no threads of its own, and starting NumPy's would take half of a worker's start-up time.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class WorkerPool(Generic[_In, _Out]):
    """Applies a function to batches of items in other processes, several at a time; a context manager.

    Args:
        function: returns the result of a batch; picklable, as are items and results.
        on_crash: gives the result for an item that ended its process (decoder crash, out of memory) or timed out.
        count: number of processes.
    """

    def __init__(self, function: Callable[[list[_In]], _Out], on_crash: Callable[[_In], _Out], count: int) -> None:
        self._function, self._on_crash, self._count = function, on_crash, count
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._running: list[Generator[list[_Out]]] = []

    def map(self, batches: Iterable[list[_In]]) -> Iterator[_Out]:
        """The results in the order of the batches: one for each, or, after a crash, one for each of its items.

        Only a few batches are taken ahead.
        """
        results = map_ordered(self._run, batches, ahead=2, count=self._count)
        self._running.append(results)
        for batch_results in results:
            yield from batch_results

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._idle.put(_Worker(self._function))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for results in self._running:  # close these first: no thread may wait for a worker that is being closed
            results.close()
        for _ in range(self._count):
            self._idle.get().close()

    def _run(self, items: list[_In]) -> list[_Out]:
        worker = self._idle.get()
        try:
            return [worker.request(items)]
        except (EOFError, OSError):  # the process died or timed out: replace it
            worker.close()
            worker = _Worker(self._function)
        finally:
            self._idle.put(worker)
        if len(items) == 1:
            return [self._on_crash(items[0])]
        # One of the items is to blame; repeat them one by one to find out which.
        return [result for item in items for result in self._run([item])]


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self, function: Callable[..., object]) -> None:
        ours, theirs = socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    # The current folder ('' in sys.path, and without -P its first entry) may hold images from
                    # anywhere, and modules beside them.
                    "-P",
                    "-c",
                    f"from faceforge.data.ingest.worker_pool import serve; serve({theirs.fileno()})",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=(theirs.fileno(),),
            )
        self._connection, self._started = Connection(ours.detach()), False
        with suppress(OSError):  # the process may have died already; `request` reports that
            self._connection.send(function)

    def request(self, items: list[_In]) -> Any:
        """Processes a batch; raises EOFError or OSError if the process has died or does not answer in time."""
        if not self._started:
            try:
                self._started = self._connection.recv()
            except (EOFError, OSError):
                raise RuntimeError("a worker process could not start; its error is printed above") from None
        self._connection.send(items)
        if not self._connection.poll(TIMEOUT_SECONDS):
            raise EOFError
        response = self._connection.recv()
        if isinstance(response, str):
            raise RuntimeError(f"a worker process failed:\n{response}")
        return response

    def close(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


def serve(descriptor: int) -> None:
    """The main loop of a worker process: processes batches until the other end of the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent handles it
    with Connection(descriptor) as connection:
        try:
            function = connection.recv()
            connection.send(True)
            while True:
                items = connection.recv()
                response: object
                try:
                    response = function(items)
                except Exception:  # a bug of ours, not a bad image: the parent raises it
                    response = traceback.format_exc()
                connection.send(response)
        except (EOFError, ConnectionError):
            return
