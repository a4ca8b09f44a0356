"""Several pods that train one model together: they meet beside the checkpoints that they share."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from faceforge.compute.rendezvous import Rendezvous
from faceforge.compute.workers import environment
from faceforge.errors import TRY_LATER, FaceForgeError, UnavailableError

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
    rendezvous = Rendezvous(f"{checkpoints.rstrip('/')}/workers", index, count, start)
    print(f"worker {index} of {count} waits for the others", file=sys.stderr, flush=True)
    addresses = rendezvous.join()
    if len(addresses) > 1:
        os.environ.update(environment(index, addresses))
        print(f"worker {index} of {count}: {', '.join(addresses)}", file=sys.stderr, flush=True)
    over = threading.Event()
    if len(addresses) > 1:
        threading.Thread(target=_end_with_others, args=(rendezvous, over), daemon=True).start()
    try:
        yield Meeting(bool(addresses), rendezvous.message)
        rendezvous.finish()
    finally:
        over.set()


def _end_with_others(rendezvous: Rendezvous, over: threading.Event) -> None:
    """Ends this process when another worker has started again: TensorFlow may wait for the lost one without an end.

    `faceforge.steps.supervise` then starts this worker again as well.
    """
    while not over.wait(_LOOK_SECONDS):
        try:
            lost = rendezvous.restarted()
        except UnavailableError:
            continue  # looks again
        if lost:
            print(f"worker {lost[0]} has started again, and so must this one", file=sys.stderr, flush=True)
            os._exit(TRY_LATER)
