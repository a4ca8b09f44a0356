"""Image files in a folder and the folders below it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import SIGNATURE_BYTES, is_image_signature, unreadable_suffix
from faceforge.data.sources.files import (
    FileBytes,
    Files,
    companions,
    has_image_suffix,
    hidden,
    may_be_image,
    printable,
)
from faceforge.data.sources.samples import stamp
from faceforge.errors import FaceForgeError


class FolderFiles(Files):
    """The files below a folder, sorted by path.

    Links are followed only within the folder, so that the content of a set does not depend on where it was unpacked.
    Links that lead out of it, links to folders, unreadable folders and special files are problems.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.name = self._root.name
        images: list[tuple[tuple[str, ...], str]] = []
        documents: list[str] = []
        for path, is_image, problem in _walk(self._root):
            if is_image:
                images.append((tuple(path.split("/")), problem))
            else:
                documents.append(path)
        beside = companions("/".join(parts) for parts, _ in images)
        images = sorted((parts, problem) for parts, problem in images if "/".join(parts) not in beside)
        self._raw_names = ["/".join(parts) for parts, _ in images]
        self.paths = [printable(path) for path in self._raw_names]
        self.problems = {place: problem for place, (_, problem) in enumerate(images) if problem}
        self.documents = sorted(map(printable, [*documents, *beside]))

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One reader for each file."""
        return (FileBytes(os.path.join(self._root, self._raw_names[place])) for place in places)

    def read(self, document: str) -> bytes:
        """At most `MAX_FILE_BYTES`; links that lead out of the folder are refused."""
        return read_document(self._root / document, problem_of(self._root, self._root / document))

    def stamps(self, documents: Iterable[str]) -> dict[str, str]:
        """One for each image file and document."""
        stamps = {path: _stamp(self._root / path) for path in documents}
        for place, (path, raw) in enumerate(zip(self.paths, self._raw_names, strict=True)):
            stamps[path] = self.problems.get(place) or _stamp(self._root / raw)
        return stamps


def read_document(file: Path, problem: str = "") -> bytes:
    """The content of a label file.

    Raises:
        FaceForgeError: it has a `problem`, does not exist, cannot be read or is too large.
    """
    try:
        if problem:
            raise OSError(problem)
        return FileBytes(str(file))()
    except FileNotFoundError:
        raise FaceForgeError(f"label file {file} does not exist") from None
    except OSError as error:
        raise FaceForgeError(f"label file {file} cannot be read: {error.strerror or error}") from None


def problem_of(root: Path, entry: os.DirEntry[str] | Path) -> str:
    """Why a file below a (resolved) folder is not read; '' if it is."""
    if entry.is_symlink():
        target = os.path.realpath(entry)
        if not target.startswith(f"{root}{os.sep}"):
            return "a link that leads out of the folder is not followed; put the file itself there"
        if not os.path.exists(target):
            return "a link to nothing"
    return "" if entry.is_file() else "not a regular file"


def _walk(root: Path) -> Iterator[tuple[str, bool, str]]:
    """Path relative to the root, whether it is listed as an image, and its problem ('' = none) of every file."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            yield folder, True, f"folder cannot be read: {error.strerror}"
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_symlink() and os.path.isdir(entry.path):  # `entry.is_dir` raises for circular links
                yield path, True, "a link to a folder is not followed; name that folder as a source of its own"
            elif has_image_suffix(entry.name):
                yield path, True, problem_of(root, entry) or unreadable_suffix(entry.name)
            else:
                yield path, may_be_image(entry.name) and not problem_of(root, entry) and _sniff(entry.path), ""


def _sniff(file: str) -> bool:
    try:
        with open(file, "rb") as stream:
            return is_image_signature(stream.read(SIGNATURE_BYTES))
    except OSError:
        return False  # without the suffix of an image it may be anything


def _stamp(file: Path) -> str:
    try:
        return stamp(file)
    except OSError as error:  # gone, or not permitted: reading it will be an error of its own
        return f"{error.strerror}"
