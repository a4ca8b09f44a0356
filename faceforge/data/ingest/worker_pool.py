"""Worker processes for hostile input: an item that kills its process is told from the others, and the run goes on.

They are fresh interpreters fed through a socket: no forks of this process, which may hold locks, threads and networks,
and no `multiprocessing` children, which would run the user's script once more.
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
from typing import Generic, Self, TypeVar

from faceforge.data.pixels import map_ordered

PATIENCE_SECONDS = 300.0  # for one lot; beyond, something in it never ends
# A process per core needs no threads of its own; NumPy's would take half of the time that a start takes.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Workers(Generic[_In, _Out]):
    """Applies a function to items in other processes, several at a time; a context manager.

    Args:
        function: one result for each of a list of items; picklable, as are items and results.
        on_death: gives the result of an item that ended its process (a crash of a decoder, no memory left) or held it
            up for ever.
        count: how many processes.
    """

    def __init__(
        self, function: Callable[[list[_In]], list[_Out]], on_death: Callable[[_In], _Out], count: int
    ) -> None:
        self._function, self._on_death, self._count = function, on_death, count
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._going: list[Generator[list[_Out]]] = []

    def map(self, lots: Iterable[list[_In]]) -> Iterator[_Out]:
        """The results in the order of the items; a lot goes to a process at once, and is taken a little ahead."""
        done = map_ordered(self._run, lots, ahead=2, count=self._count)
        self._going.append(done)
        for results in done:
            yield from results

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._idle.put(_Worker(self._function))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lots in self._going:  # nobody may wait for a worker that is not coming back
            lots.close()
        for _ in range(self._count):
            self._idle.get().close()

    def _run(self, items: list[_In]) -> list[_Out]:
        worker = self._idle.get()
        try:
            results: list[_Out] = worker.ask(items)
            return results
        except (EOFError, OSError):
            worker.close()
            worker = _Worker(self._function)
        finally:
            self._idle.put(worker)
        if len(items) == 1:
            return [self._on_death(items[0])]
        return [result for item in items for result in self._run([item])]


class _Worker:
    def __init__(self, function: Callable[..., object]) -> None:
        ours, theirs = socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"from faceforge.data.ingest.worker_pool import serve; serve({theirs.fileno()})",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # The current folder ('' and, without -P, the first entry) may hold anybody's images, and modules.
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=(theirs.fileno(),),
            )
        self._link, self._ready = Connection(ours.detach()), False
        with suppress(OSError):  # it may be gone already: `ask` says so
            self._link.send(function)

    def ask(self, items: list[_In]) -> list[_Out]:
        """The results; EOFError or OSError if the process has died or does not answer."""
        if not self._ready:
            try:
                self._ready = self._link.recv()
            except (EOFError, OSError):
                raise RuntimeError("a worker process could not start; its error is printed above") from None
        self._link.send(items)
        if not self._link.poll(PATIENCE_SECONDS):
            raise EOFError
        answer = self._link.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"a worker process failed:\n{answer}")
        results: list[_Out] = answer
        return results

    def close(self) -> None:
        self._link.close()
        self._process.kill()
        self._process.wait()


def serve(descriptor: int) -> None:
    """What a worker process does: answers until the other end is gone, however that went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    with Connection(descriptor) as link:
        try:
            function = link.recv()
            link.send(True)
            while True:
                items = link.recv()
                answer: object
                try:
                    answer = function(items)
                except Exception:  # a fault of ours: the parent shows it
                    answer = traceback.format_exc()
                link.send(answer)
        except (EOFError, ConnectionError):
            return
