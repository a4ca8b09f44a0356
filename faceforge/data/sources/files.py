"""Image files, wherever they lie: what folders and archives have in common."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES

LABEL_TABLES = ("labels.csv", "metadata.csv", "labels.parquet", "metadata.parquet")
_CELEBA_TABLE = re.compile(r"(list_.+_celeba|list_eval_partition|identity_celeba)\.(txt|csv)", re.IGNORECASE)
MAX_FILE_BYTES = 128 * 2**20  # beyond this a file is no photograph, but a mistake or an attack on memory
_SUFFIXES_SHOWN = 5


class Files(ABC):
    """Image files, and the tables beside them.

    A file is an image by its suffix, or by its first bytes if the suffix is unknown. Hidden files and folders are
    passed over, as is everything else.

    Attributes:
        name: short, without machine-specific folders.
        paths: of the image files, relative, with `/` between folders, as text that can be stored and printed; in the
            order in which they are read fastest, the same every time.
        problems: position in `paths` -> why that file cannot be used.
        tables: paths of files that are called like tables of labels, sorted.
        others: of the files that are passed over, how many have which suffix.
    """

    name: str
    paths: list[str]
    problems: dict[int, str]
    tables: list[str]
    others: Counter[str]

    def usable(self) -> Iterator[str]:
        """The paths of files without problems."""
        return (path for place, path in enumerate(self.paths) if place not in self.problems)

    def passed_over(self) -> str:
        """What else is there, in words; '' if nothing."""
        shown = ", ".join(f"{count:,} {suffix}" for suffix, count in self.others.most_common(_SUFFIXES_SHOWN))
        more = ", ..." if len(self.others) > _SUFFIXES_SHOWN else ""
        return f"{self.others.total():,} files that are not images ({shown}{more})" if shown else ""

    @abstractmethod
    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """For each position in `paths` (ascending, without problems): what reads the file; see `Sample.read`."""

    @abstractmethod
    def table(self, path: str) -> bytes:
        """Content of one of `tables`; a FaceForgeError if it cannot be read."""

    @abstractmethod
    def stamps(self, tables: Iterable[str]) -> dict[str, str]:
        """See `Source.stamps`; `tables` are those that are used."""


@dataclass(frozen=True)
class FileBytes:
    """Reads a part of a file, or all of it; raises OSError where that is more than `MAX_FILE_BYTES`."""

    file: str
    start: int = 0
    size: int | None = None

    def __call__(self) -> bytes:
        """The bytes."""
        with open(self.file, "rb") as stream:
            stream.seek(self.start)
            data = stream.read(MAX_FILE_BYTES + 1 if self.size is None else self.size)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(f"more than {MAX_FILE_BYTES // 2**20} MB")
        if self.size is not None and len(data) < self.size:
            raise OSError("the file ends early")
        return data


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a Macintosh for itself."""
    return name.startswith(".") or name == "__MACOSX"


def is_image(path: str) -> bool:
    """Whether a file has the suffix of an image, readable or not (see `formats.unreadable_suffix`)."""
    suffix = os.path.splitext(path)[1].lower()
    return suffix in IMAGE_SUFFIXES or suffix in UNREADABLE_SUFFIXES


def companions(paths: Iterable[str]) -> set[str]:
    """Unreadable pictures beside a readable one of the same name, as `IMG_1.CR2` and `IMG_1.JPG` of a camera."""
    readable: set[str] = set()
    unreadable: list[tuple[str, str]] = []
    for path in paths:
        stem, suffix = os.path.splitext(path)
        if suffix.lower() in UNREADABLE_SUFFIXES:
            unreadable.append((stem, path))
        else:
            readable.add(stem)
    return {path for stem, path in unreadable if stem in readable}


def suffix(path: str) -> str:
    """For `Files.others`."""
    return printable(os.path.splitext(path)[1].lower()) or "without suffix"


def is_table(path: str) -> bool:
    """Whether a file is called as tables of labels are: `labels.csv` and the like, and CelebA's lists."""
    name = path.rpartition("/")[2].lower()
    return name in LABEL_TABLES or _CELEBA_TABLE.fullmatch(name) is not None


def printable(name: str) -> str:
    """A file name as text that can be stored and printed: bytes that are no UTF-8 and control characters escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
