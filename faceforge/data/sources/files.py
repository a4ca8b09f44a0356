"""Image files and the documents beside them: what folders and archives have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES

LABEL_SUFFIXES = frozenset(
    {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml", ".parquet", ".pq", ".cls", ".yaml", ".yml", ".names"}
)
_DOCUMENT_SUFFIXES = LABEL_SUFFIXES | frozenset(
    {".md", ".html", ".htm", ".pdf", ".rst", ".log", ".ini", ".cfg", ".toml", ".py", ".ipynb", ".sh", ".db", ".lnk"}
    | {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".arrow", ".npy", ".npz", ".mat", ".pkl"}
    | {".h5", ".hdf5", ".tfrecord", ".xlsx", ".xls", ".mp4", ".mov", ".avi", ".svg", ".docx", ".pts"}
)
_SYSTEM_NAMES = frozenset(  # folders of operating systems and network storage: thumbnails, trash, snapshots
    {"__macosx", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin", "lost+found"}
    | {"$recycle.bin", "recycler", "system volume information", "network trash folder", "temporary items"}
    | {"~snapshot", "_thumbnails", "thumbs.db", "desktop.ini", "ehthumbs.db"}
)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LFS_ADVICE = "a Git LFS pointer instead of the file; run `git lfs pull` where it was cloned"
MAX_FILE_BYTES = 128 * 2**20  # a larger file is not a photograph but a mistake or an attack on memory


class Files(ABC):
    """Image files, and the documents (all other files) beside them. Hidden and system files are left out.

    Attributes:
        name: short name without folders of this machine.
        paths: of the image files, relative, with `/` between folders, printable; in the order in which they are read
            fastest, always the same.
        problems: position in `paths` -> why that file cannot be used.
        documents: paths of all other files, sorted.
        in_shards: whether the first folder of every path is only the name of an archive.
        notes: warnings, one sentence each.
    """

    name: str
    paths: list[str]
    problems: dict[int, str]
    documents: list[str]
    in_shards: bool = False
    notes: tuple[str, ...] = ()

    def usable(self) -> Iterator[str]:
        """The paths of image files without problems."""
        return (path for place, path in enumerate(self.paths) if place not in self.problems)

    @abstractmethod
    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """For each position in `paths` (ascending, without problems), a function that reads the file; `Sample.read`."""

    @abstractmethod
    def read(self, document: str) -> bytes:
        """The content of a document.

        Raises:
            FaceForgeError: it cannot be read.
        """

    def read_many(self, documents: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Paths and contents of many documents, in the order that is fastest to read."""
        return ((path, self.read(path)) for path in documents)

    @abstractmethod
    def stamps(self, documents: Iterable[str]) -> dict[str, str]:
        """`Source.stamps` of all images and of these documents."""


@dataclass(frozen=True)
class FileBytes:
    """Reads a file or a part of it; raises OSError if that is more than `MAX_FILE_BYTES`, or a Git LFS pointer."""

    file: str
    start: int = 0
    size: int | None = None

    def __call__(self) -> bytes:
        """The bytes."""
        with open(self.file, "rb") as stream:
            if self.size is None:  # a buffer of the file's size, not of the limit; one byte more shows the end of file
                data = stream.read(min(os.fstat(stream.fileno()).st_size, MAX_FILE_BYTES) + 1)
            else:
                stream.seek(self.start)
                data = stream.read(self.size)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(f"more than {MAX_FILE_BYTES // 2**20} MB")
        if self.size is not None and len(data) < self.size:
            raise OSError("the file ends early")
        return not_a_pointer(data)


def not_a_pointer(data: bytes) -> bytes:
    """The same bytes; OSError if they are a Git LFS pointer."""
    if data.startswith(_LFS_POINTER):
        raise OSError(LFS_ADVICE)
    return data


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or made by an operating system or network storage for itself."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def has_image_suffix(path: str) -> bool:
    """Whether a file name ends like that of an image, readable or not (see `formats.unreadable_suffix`)."""
    return suffix(path) in IMAGE_SUFFIXES or suffix(path) in UNREADABLE_SUFFIXES


def may_be_image(path: str) -> bool:
    """Whether only the content of a file can show if it is an image, because its suffix is unknown."""
    return not has_image_suffix(path) and suffix(path) not in _DOCUMENT_SUFFIXES


def companions(paths: Iterable[str]) -> set[str]:
    """Unreadable pictures beside a readable one of the same name, as `IMG_1.CR2` and `IMG_1.JPG` of a camera."""
    readable: set[str] = set()
    unreadable: list[tuple[str, str]] = []
    for path in paths:
        stem, ending = os.path.splitext(path)
        if ending.lower() in UNREADABLE_SUFFIXES:
            unreadable.append((stem, path))
        else:
            readable.add(stem)
    return {path for stem, path in unreadable if stem in readable}


def suffix(path: str) -> str:
    """The suffix of a path in lower case, with its dot; '' if there is none."""
    return os.path.splitext(path)[1].lower()


def stems(files: Files) -> frozenset[str]:
    """The names of the images without folder and suffix."""
    return frozenset(path.rpartition("/")[2].rpartition(".")[0] for path in files.paths)


def before_dot(path: str) -> str:
    """A path up to the first dot of its last part: what WebDataset calls the key of a sample."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def printable(name: str) -> str:
    """A file name as text that can be stored and printed: invalid UTF-8 and control characters are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
