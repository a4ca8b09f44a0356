"""Files and folders: written atomically, locked, named safely."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from uuid import uuid4

from faceforge.errors import FaceForgeError

_NAME_BYTES, _DIGEST_LENGTH = 80, 10  # of `safe_name`


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it over `path` on success, removes it on any error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{uuid4().hex[:8]}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a new temporary folder beside `path`; renames it to `path` on success, removes it on any error.

    A folder that it replaces stays complete, under its own name or a hidden one beside it, until the new one is in
    place. Leftovers of an earlier, killed attempt are restored or removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{escape(path.name)}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in path.parent.glob(f".{escape(path.name)}.replaced-*"):
        _settle(leftover, path)
    partial, replaced = (path.with_name(f".{path.name}.{kind}-{uuid4().hex[:8]}") for kind in ("partial", "replaced"))
    partial.mkdir()
    try:
        yield partial
        if path.is_dir() and not path.is_symlink():
            os.replace(path, replaced)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _settle(replaced, path)


def _settle(replaced: Path, path: Path) -> None:
    """Restores a folder that was moved aside, unless a new one has taken its place; then it is removed."""
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
    elif replaced.exists():
        os.replace(replaced, path)


@contextmanager
def exclusive_lock(path: Path, busy: str = "") -> Iterator[int]:
    """Holds an exclusive lock on a folder or file until the block ends or the process dies; yields its descriptor.

    Child processes that inherit the descriptor hold the lock too.

    Args:
        path: an existing folder, or a file (created if missing).
        busy: what to report when another process holds the lock; empty: wait for it.

    Raises:
        FaceForgeError: with the message `busy`.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise FaceForgeError(busy) from None
        yield descriptor
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def safe_name(text: str) -> str:
    """A text as a file name, at most 80 bytes of UTF-8; different texts have different names, none is `.` or `..`.

    A longer name is cut and ends with a part of the SHA-256 of the whole text.
    """
    name = re.sub(r"[^\w.+]|^\.+$", lambda match: "".join(f"%{byte:02x}" for byte in match[0].encode()), text)
    return shortened(name, _NAME_BYTES)


def shortened(name: str, limit: int) -> str:
    """A file name of at most `limit` bytes of UTF-8: a longer one is cut and ends with a part of its SHA-256."""
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_LENGTH]
    return f"{encoded[: limit - _DIGEST_LENGTH - 1].decode(errors='ignore')}-{digest}"
