"""Commands as processes that share one import: TensorFlow takes longer to come in than tiny networks to train.

A process imports everything, before TensorFlow starts its threads, and forks for each command. Each is a process of its
own, that may be killed. Graphs are not optimised: that takes longer than the few steps that they are used for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Command:
    """A running `faceforge` command.

    Attributes:
        pid: of its process, for signals.
    """

    def __init__(self, server: subprocess.Popen[str], arguments: list[str], log: Path) -> None:
        self._server, self._log = server, log
        self.pid = _ask(server, {"arguments": arguments, "log": str(log)})

    @property
    def said(self) -> str:
        """What it has written, to both streams."""
        return self._log.read_text()

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        return _ask(self._server, {"wait": self.pid})


def kill_when(ready: Callable[[], bool], pid: int, number: int, delay: float = 0.0) -> None:
    """Sends a signal to a process `delay` seconds after something has come true."""
    deadline = time.monotonic() + 600
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(pid, number)


@contextmanager
def forks() -> Iterator[Callable[[list[str], Path], Command]]:
    """A function from a command's arguments and a file for its output to the command."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        yield lambda arguments, log: Command(server, arguments, log)
        server.stdin.close()  # type: ignore[union-attr]


def _ask(server: subprocess.Popen[str], question: dict[str, object]) -> int:
    print(json.dumps(question), file=server.stdin, flush=True)
    return int(server.stdout.readline())  # type: ignore[union-attr]


def _serve() -> None:
    import tensorflow as tf

    import faceforge.cli.main
    import faceforge.training.train
    from faceforge.compute import backend

    backend.fuse = lambda function: function

    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        faceforge.cli.main.main(asked["arguments"], prog_name="faceforge")


if __name__ == "__main__":
    _serve()
