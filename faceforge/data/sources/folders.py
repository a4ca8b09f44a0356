"""Image files in a folder and the folders below it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import SIGNATURE_BYTES, is_image_signature, unreadable_suffix
from faceforge.data.sources.files import FileBytes, Files, companions, hidden, is_image, is_table, printable, suffix
from faceforge.data.sources.samples import stamp
from faceforge.errors import FaceForgeError


class FolderFiles(Files):
    """The files below a folder, sorted by path.

    Links are followed as long as they stay inside the folder: what a set holds must not depend on who unpacked it
    where. Links that lead out, links to folders, unreadable folders and what is no regular file become problems.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.name = self._root.name
        images: list[tuple[tuple[str, ...], str]] = []
        tables: list[str] = []
        self.others = Counter()
        for path, problem in _walk(self._root, ""):
            if problem or is_image(path) or (not is_table(path) and _has_image_signature(self._root, path)):
                images.append((tuple(path.split("/")), problem))
            elif is_table(path):
                tables.append(path)
            else:
                self.others[suffix(path)] += 1
        beside = companions("/".join(parts) for parts, _ in images)
        self.others.update(map(suffix, beside))
        images = [(parts, problem) for parts, problem in images if "/".join(parts) not in beside]
        images.sort()
        self._raw = ["/".join(parts) for parts, _ in images]
        self.paths = [printable(path) for path in self._raw]
        self.problems = {place: problem for place, (_, problem) in enumerate(images) if problem}
        self.tables = sorted(printable(path) for path in tables)

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One after another."""
        return (FileBytes(os.path.join(self._root, self._raw[place])) for place in places)

    def table(self, path: str) -> bytes:
        """Of at most `MAX_FILE_BYTES`, and in the folder itself."""
        return read_table(self._root / path, problem_of(self._root, self._root / path))

    def stamps(self, tables: Iterable[str]) -> dict[str, str]:
        """Every image file, and the tables."""
        found = {path: stamp(self._root / path) for path in tables}
        for place, (path, raw) in enumerate(zip(self.paths, self._raw, strict=True)):
            found[path] = self.problems.get(place) or _stamp(self._root / raw)
        return found


def read_table(file: Path, problem: str = "") -> bytes:
    """Content of a table; a FaceForgeError if it has a problem, is not there, cannot be read or is too large."""
    try:
        if problem:
            raise OSError(problem)
        return FileBytes(str(file))()
    except FileNotFoundError:
        raise FaceForgeError(f"label file {file} does not exist") from None
    except OSError as error:
        raise FaceForgeError(f"label file {file} cannot be read: {error.strerror or error}") from None


def _walk(root: Path, folder: str) -> Iterator[tuple[str, str]]:
    """Paths relative to the root of files and of folders that are trouble; images and the latter with the problem."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            yield folder, f"folder cannot be read: {error.strerror}"
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_symlink() and os.path.isdir(entry.path):  # of links in a circle, `entry.is_dir` raises
                yield path, "a link to a folder is not followed; name that folder as a source of its own"
            else:
                yield path, (problem_of(root, entry) or unreadable_suffix(entry.name)) if is_image(entry.name) else ""


def _has_image_signature(root: Path, path: str) -> bool:
    """Whether a regular file inside the folder begins like an image."""
    file = root / path
    if problem_of(root, file):
        return False
    try:
        with file.open("rb") as stream:
            return is_image_signature(stream.read(SIGNATURE_BYTES))
    except OSError:
        return False  # without the suffix of an image it may be anything


def problem_of(root: Path, entry: os.DirEntry[str] | Path) -> str:
    """Why a file below a (resolved) folder is not to be read, or ''."""
    if entry.is_symlink():
        target = os.path.realpath(entry)
        if not target.startswith(f"{root}{os.sep}"):
            return "a link that leads out of the folder is not followed; put the file itself there"
        if not os.path.exists(target):
            return "a link to nothing"
    return "" if entry.is_file() else "not a regular file"


def _stamp(file: Path) -> str:
    try:
        return stamp(file)
    except OSError as error:  # gone, or not to be looked at: ingest will say so
        return f"{error.strerror}"
