"""Checkpoints: the training state as one `.npz` of plain arrays and a JSON header. Two generations are kept."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.files import atomic_file

GENERATIONS = 2
FORMAT_VERSION = 1


class Checkpoint(NamedTuple):
    """A point to go on from.

    Attributes:
        step: steps done.
        seconds: time spent training so far, over all attempts.
        arrays: the state's arrays in their order.
    """

    step: int
    seconds: float
    arrays: list[NDArray[Any]]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, fingerprint: dict[str, Any]) -> Path:
    """Writes a checkpoint, whole or not at all, and removes all but the newest two.

    Args:
        folder: where checkpoints live.
        checkpoint: what to write.
        fingerprint: what a later run must have in common to go on from here, JSON-able.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "fingerprint": fingerprint,
    }
    path = folder / f"step-{checkpoint.step:09d}.npz"
    with atomic_file(path) as partial, partial.open("wb") as stream:
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        arrays: dict[str, Any] = {f"{i:05d}": array for i, array in enumerate(checkpoint.arrays)}
        np.savez(stream, header=text, **arrays)
    for old in _newest_first(folder)[GENERATIONS:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, fingerprint: dict[str, Any]) -> Checkpoint | None:
    """The newest readable checkpoint in `folder`; None if there is none at all.

    Raises:
        FaceForgeError: every checkpoint is unreadable, or the newest belongs to a run with another fingerprint.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            header, arrays = _read(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            print(f"warning: checkpoint {path} is unreadable ({error}); trying an older one", file=sys.stderr)
            continue
        if differences := _differences(header["fingerprint"], fingerprint):
            raise FaceForgeError(
                f"checkpoints in {folder} belong to a run with other settings ({'; '.join(differences)}); "
                "train into another folder, or remove that one to start anew"
            )
        return Checkpoint(header["step"], header["seconds"], arrays)
    if paths:
        raise FaceForgeError(f"no checkpoint in {folder} is readable; remove that folder to start anew")
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.npz"), reverse=True)


def _read(path: Path) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        if header["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {header['format_version']}, this version reads {FORMAT_VERSION}")
        return header, [archive[name] for name in sorted(archive.files) if name != "header"]


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    names = sorted(theirs.keys() | ours.keys())
    return [f"{n}: {theirs.get(n)!r} there, {ours.get(n)!r} here" for n in names if theirs.get(n) != ours.get(n)]
