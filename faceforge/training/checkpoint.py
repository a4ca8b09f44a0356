"""Checkpoints: the training state as one `.npz` of plain arrays with a JSON header. The newest two are kept.

They live in a folder or at any fsspec address (`s3://bucket/run`, `gs://...`). A local file is renamed into place, and
object stores publish only complete uploads. In other stores the archive's checksums reveal a truncated file, and the
previous checkpoint is loaded instead.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file

KEEP = 2
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """A state to continue from.

    Attributes:
        step: steps taken.
        seconds: training time so far, over all attempts.
        arrays: the state's arrays in order, of numpy's own dtypes.
        facts: everything else that a run needs to continue, as JSON; tuples come back as lists, floats are exact.
    """

    step: int
    seconds: float
    arrays: list[NDArray[Any]]
    facts: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(place: str | Path, checkpoint: Checkpoint, fingerprint: dict[str, Any]) -> str:
    """Writes a checkpoint atomically and removes all but the newest two.

    Args:
        place: folder or fsspec address of the checkpoints; only one run may write there at a time.
        checkpoint: what to write.
        fingerprint: settings and data that a run must share to continue from here, as JSON.

    Returns:
        The new file's path or address.

    Raises:
        FaceForgeError: the place cannot be written to.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "facts": checkpoint.facts,
        "fingerprint": fingerprint,
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    arrays: dict[str, Any] = {f"{i:05d}": array for i, array in enumerate(checkpoint.arrays)}
    stream = io.BytesIO()
    np.savez(stream, header=text, **arrays)
    name = f"step-{checkpoint.step:09d}.npz"
    with _store_errors(place, "written to"):
        store = _store(place)
        store.write(name, stream.getvalue())
        for old in store.names()[KEEP:]:
            store.remove(old)
    return f"{str(place).rstrip('/')}/{name}"


def load_checkpoint(place: str | Path, fingerprint: dict[str, Any]) -> Checkpoint | None:
    """The newest readable checkpoint; None if there are none. A first run thus also checks that it can write there.

    Raises:
        FaceForgeError: all checkpoints are unreadable, the newest belongs to a run with another fingerprint, or the
            place cannot be reached or written to.
    """
    with _store_errors(place, "read"):
        store = _store(place)
        names = store.names()
    if not names:
        with _store_errors(place, "written to"):  # fail now rather than at the first checkpoint
            trial = f".trial-{uuid4().hex[:8]}"  # a name of its own, since other workers may start at the same time
            store.write(trial, b"")
            store.remove(trial)
        return None
    for name in names:
        with _store_errors(place, "read"):
            content = store.read(name)
        try:
            header, arrays = _parse(content)
        except Exception as error:  # damaged archives raise many types
            print(f"warning: checkpoint {name} in {place} is unreadable ({_describe(error)})", file=sys.stderr)
            reason = _describe(error)
            continue
        if differences := _differences(header["fingerprint"], fingerprint):
            raise FaceForgeError(
                f"checkpoints in {place} belong to a run with other settings ({'; '.join(differences)}); "
                "train into another folder, or remove that one to start again"
            )
        return Checkpoint(header["step"], header["seconds"], arrays, header["facts"])
    raise FaceForgeError(f"no checkpoint in {place} is readable ({reason}); remove that folder to start again")


class _Folder:
    """A folder on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Checkpoints, newest first."""
        return sorted((file.name for file in self._path.glob("step-*.npz")), reverse=True)

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        for leftover in self._path.glob(".step-*.partial-*"):  # of a killed attempt
            leftover.unlink()
        with atomic_file(self._path / name) as partial:
            partial.write_bytes(content)

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)


class _Remote:
    """A folder in any store that fsspec supports."""

    def __init__(self, address: str) -> None:
        import fsspec

        self._files, path = fsspec.url_to_fs(address)
        self._path = path.rstrip("/")

    def names(self) -> list[str]:
        """Checkpoints, newest first."""
        self._files.invalidate_cache()
        names = (file.rpartition("/")[2] for file in self._files.glob(f"{self._path}/step-*.npz"))
        return sorted(names, reverse=True)

    def read(self, name: str) -> bytes:
        content: bytes = self._files.cat_file(f"{self._path}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        try:
            self._files.pipe_file(f"{self._path}/{name}", content)
        except FileNotFoundError:  # create a missing folder, but not a missing bucket: its name is probably misspelt
            if not self._files.exists(self._path[: f"{self._path}/".find("/", 1)]):
                raise
            self._files.makedirs(self._path, exist_ok=True)
            self._files.pipe_file(f"{self._path}/{name}", content)

    def remove(self, name: str) -> None:
        self._files.rm_file(f"{self._path}/{name}")


def _store(place: str | Path) -> _Folder | _Remote:
    path = str(place).removeprefix("file://")
    return _Remote(path) if "://" in path else _Folder(Path(path))


def _parse(content: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        if header["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {header['format_version']}, this version reads {FORMAT_VERSION}")
        return header, [archive[name] for name in sorted(archive.files) if name != "header"]


def _differences(saved: dict[str, Any], current: dict[str, Any]) -> list[str]:
    names = sorted(saved.keys() | current.keys())
    return [f"{n}: {saved.get(n)!r} there, {current.get(n)!r} here" for n in names if saved.get(n) != current.get(n)]


@contextmanager
def _store_errors(place: str | Path, verb: str) -> Iterator[None]:
    """Turns the errors of any store into a one-line `FaceForgeError`."""
    try:
        yield
    except Exception as error:
        raise FaceForgeError(f"checkpoints: {place} cannot be {verb} ({_describe(error)})") from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error, 200)}"
