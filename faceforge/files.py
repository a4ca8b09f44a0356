"""Writing files and folders so that a half-written one never stands under its final name."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from uuid import uuid4


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
    """Yields a new temporary folder beside `path`; it takes the place of `path` on success, vanishes on any error.

    A folder that it replaces is whole under its name, or under a hidden one beside it, until the new one is there. What
    an earlier, killed attempt left behind is put back or removed first.
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
    """A folder that was put aside goes back where nothing has taken its place."""
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
    elif replaced.exists():
        os.replace(replaced, path)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def safe_name(text: str) -> str:
    """A text as part of a file name, at most 80 characters; unlike texts stay unlike."""
    return re.sub(r"[^\w.+]", lambda match: f"%{ord(match[0]):02x}", text)[:80]
