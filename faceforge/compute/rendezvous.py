"""Workers that train together find each other through small files in a folder or bucket that all of them share.

Each worker writes its address with a ticket, a random text for this one start. When all tickets are new, worker 0
writes the list of members, the others agree to it, and worker 0 declares it complete. After a failure every worker
returns with a new ticket, so no list contains a process that is gone.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from faceforge.errors import FaceForgeError, UnavailableError, first_line

PATIENCE_SECONDS = 1800.0  # until nodes have been started for all workers
_POLL_SECONDS = 1.0
_MEMBERS, _FINISHED = "members.json", "finished.json"


class Rendezvous:
    """The meeting place of the workers of one training run.

    Args:
        place: folder or fsspec address (`s3://...`) that all workers share.
        index: this worker's number, 0 to `count` - 1.
        count: number of workers.
        message: a text of worker 0 for the others.

    Attributes:
        message: the text of worker 0, after `join`.
    """

    def __init__(self, place: str, index: int, count: int, message: str = "") -> None:
        self.message = message
        self._place, self._index, self._count = place, index, count
        self._ticket = uuid4().hex

    def join(self, patience: float = PATIENCE_SECONDS) -> list[str]:
        """Waits until all workers are there and returns their addresses `host:port`, in order.

        If one of them has already finished training, the others are not needed any more: worker 0 gets only its own
        address and trains what is left since the last checkpoint, the others get an empty list.

        Args:
            patience: seconds to wait.

        Raises:
            FaceForgeError: a worker did not come in time.
            UnavailableError: the place cannot be used.
        """
        own: dict[str, Any] = {"ticket": self._ticket, "address": _own_address(), "agreed": []}
        self._write(self._file(self._index), own)
        used = set(self._read(_MEMBERS).get("tickets", ()))
        deadline = time.monotonic() + patience
        while True:
            if self._read(_FINISHED):
                return [own["address"]] if self._index == 0 else []
            members = self._lead(used) if self._index == 0 else self._follow(own)
            if members:
                return members
            if time.monotonic() > deadline:
                raise FaceForgeError(
                    f"worker {self._index} has waited {patience / 60:.0f} minutes for the other {self._count - 1}: is "
                    "there room in the cluster for all of them, and do they share the checkpoint volume or bucket?"
                )
            time.sleep(_POLL_SECONDS)

    def restarted(self) -> list[int]:
        """Numbers of the workers that have started again since `join`, and so wait for the others to do the same."""
        tickets = self._read(_MEMBERS).get("tickets", ())
        return [
            index
            for index, ticket in enumerate(tickets)
            if self._read(self._file(index)).get("ticket", ticket) != ticket
        ]

    def finish(self) -> None:
        """Tells workers that start again later that training is over."""
        self._write(_FINISHED, {"by": self._index})

    def _lead(self, used: set[str]) -> list[str]:
        """Worker 0 proposes a list once all tickets are new; returns its addresses when all have agreed to it."""
        workers = [self._read(self._file(index)) for index in range(self._count)]
        tickets = [worker.get("ticket", "") for worker in workers]
        if not all(tickets) or used & set(tickets):
            return []
        members = {"tickets": tickets, "addresses": [worker["address"] for worker in workers]}
        complete = all(worker["agreed"] == tickets for worker in workers[1:])
        self._write(_MEMBERS, members | {"complete": complete, "message": self.message})
        return members["addresses"] if complete else []

    def _follow(self, own: dict[str, Any]) -> list[str]:
        """Another worker agrees to a list with its ticket; returns its addresses once it is complete."""
        members = self._read(_MEMBERS)
        if self._ticket not in members.get("tickets", ()):
            return []
        if members["tickets"] != own["agreed"]:
            own["agreed"] = members["tickets"]
            self._write(self._file(self._index), own)
        self.message = members["message"]
        return list(members["addresses"]) if members["complete"] else []

    def _file(self, index: int) -> str:
        return f"worker-{index}.json"

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with self._store() as (files, folder):
            files.makedirs(folder, exist_ok=True)
            partial = f"{folder}/.{name}.{self._ticket}"
            files.pipe_file(partial, json.dumps(content).encode())
            files.mv(partial, f"{folder}/{name}")

    def _read(self, name: str) -> dict[str, Any]:
        """Content of a file; empty if there is none."""
        with self._store() as (files, folder):
            try:
                content: dict[str, Any] = json.loads(files.cat_file(f"{folder}/{name}"))
            except FileNotFoundError:
                return {}
            return content

    @contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """The file system of the place and its path there.

        Raises:
            UnavailableError: any error of the store, of which each has types of its own.
        """
        import fsspec

        try:
            yield fsspec.url_to_fs(self._place)
        except Exception as error:
            raise UnavailableError(f"workers: {self._place} cannot be used ({first_line(error, 200)})") from error


def _own_address() -> str:
    """This machine's address as others see it (a pod's host name is its IP address), and a free port."""
    host = socket.gethostbyname(socket.gethostname())
    with socket.socket() as probe:
        probe.bind(("", 0))
        return f"{host}:{probe.getsockname()[1]}"
