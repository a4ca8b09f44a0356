"""Several pods that train one model together: they meet beside the checkpoints that they share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from faceforge.compute.rendezvous import Rendezvous
from faceforge.compute.workers import environment
from faceforge.errors import FaceForgeError, UnavailableError

_LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class Meeting:
    """The outcome of a meeting.

    Attributes:
        needed: whether this worker is to train; False if training is already over.
        start: what the chief starts from: the name of a `faceforge.tracking.start.Start`.
    """

    needed: bool
    start: str


@contextmanager
def training_together(checkpoints: str | None, index: int, count: int, start: str = "") -> Iterator[Meeting]:
    """Waits for the other workers and tells TensorFlow or JAX about them; the body trains.

    Args:
        checkpoints: folder or address of the run's checkpoints, which all workers share.
        index: number of this worker; 0 is the chief.
        count: number of workers; 1: there is nobody to wait for.
        start: what the chief starts from.

    Raises:
        FaceForgeError: there are no shared checkpoints, or a worker does not come.
    """
    if count == 1:
        yield Meeting(True, start)
        return
    if not checkpoints:
        raise FaceForgeError("several workers need a volume or bucket for checkpoints that all of them share")
    place = f"{checkpoints.rstrip('/')}/workers"
    rendezvous = Rendezvous(place, index, count, start)
    print(f"worker {index} of {count} waits for the others", file=sys.stderr, flush=True)
    addresses = rendezvous.join()
    if len(addresses) > 1:
        os.environ.update(environment(index, addresses))
        print(f"worker {index} of {count}: {', '.join(addresses)}", file=sys.stderr, flush=True)
    watcher = _start_watcher(place) if len(addresses) > 1 else None
    try:
        yield Meeting(bool(addresses), rendezvous.message)
        rendezvous.finish()
    finally:
        if watcher is not None:
            watcher.kill()
            watcher.wait()


def _start_watcher(place: str) -> subprocess.Popen[bytes]:
    """Starts `end_with_others` for this process. Not as a thread: TensorFlow, while it waits, lets none run."""
    command = [sys.executable, "-m", __name__, place, str(os.getpid()), str(_LOOK_SECONDS)]
    return subprocess.Popen(command)  # noqa: S603


def end_with_others(place: str, process: int, every: float) -> None:
    """Kills a worker when another one has started again: TensorFlow may wait for the lost one without an end.

    `faceforge.steps.supervise` then starts this worker again as well. Returns when the worker has ended.

    Args:
        place: where the workers have met.
        process: id of the worker's process, the parent of this one.
        every: seconds between looks.
    """
    while os.getppid() == process:
        with suppress(UnavailableError):  # looks again
            if lost := Rendezvous(place, 0, 0).restarted():
                print(f"worker {lost[0]} has started again, and so must this one", file=sys.stderr, flush=True)
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(every)


if __name__ == "__main__":
    end_with_others(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
