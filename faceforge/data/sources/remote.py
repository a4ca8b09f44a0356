"""Files that fsspec reads: on this machine, in object stores, behind HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from faceforge.data.sources.samples import stamp
from faceforge.errors import FaceForgeError, first_line

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_STAMPS = (
    *("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "created", "size"),
    *("Last-Modified", "Content-MD5", "Digest"),  # of HTTP
)


@dataclass(frozen=True)
class Remote:
    """A file that can be opened.

    Attributes:
        path: as it is shown, without machine-specific folders and without what follows `?` in an address.
        address: a path of this machine, or a URL.
    """

    path: str
    address: str

    @classmethod
    def local(cls, file: Path, path: str) -> Remote:
        """A file of this machine."""
        return cls(path, str(file))

    def open(self) -> IO[bytes]:
        """For reading, with random access."""
        if not is_url(self.address):
            return open(self.address, "rb")
        system, path = _system(self.address)
        stream: IO[bytes] = system.open(path, "rb")
        return stream

    def stamp(self) -> str:
        """What changes with the content: size and time, or the tag that the store gives it."""
        if not is_url(self.address):
            return stamp(Path(self.address))
        with _told(self.path):
            system, path = _system(self.address)
            info = system.info(path)
        return ", ".join(f"{key} {info[key]}" for key in _STAMPS if info.get(key) is not None)


def is_url(spec: str) -> bool:
    """Whether a source is named by an address such as `s3://bucket/faces.parquet`."""
    return _URL.match(spec) is not None


def find_parquet(url: str) -> list[Remote]:
    """The Parquet files at an address: the file itself, those that match its `*`, or those in a folder.

    Raises:
        FaceForgeError: nothing there, no access, or no support for this kind of address.
    """
    with _told(url):
        system, path = _system(url)
        if "*" in path:
            found = system.glob(path)
        elif re.search(r"\.(parquet|pq)(\?|$)", path, re.IGNORECASE) or system.isfile(path):
            found = [path]
        else:
            found = [file for file in system.find(path) if file.lower().endswith((".parquet", ".pq"))]
        if not found:
            raise FaceForgeError(f"{url} holds no Parquet files")
        files = sorted(str(system.unstrip_protocol(file)) for file in found)
        return [Remote(_shown(file), file) for file in files]


@contextmanager
def reading(file: Remote) -> Iterator[IO[bytes]]:
    """Opens a Parquet file; whatever goes wrong in the block is told as a fault of this file."""
    with _told(file.path):
        try:
            with file.open() as stream:
                yield stream
        except pa.ArrowException as error:
            told = first_line(error)
            raise FaceForgeError(f"{file.path} is not a readable Parquet file: {told}") from None


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Stores fail in as many ways as there are stores: each in one line."""
    try:
        yield
    except (FaceForgeError, AttributeError, TypeError, KeyError, IndexError, AssertionError):  # ours, or bugs
        raise
    except ImportError as error:
        raise FaceForgeError(f"{path} cannot be read without another package: {error}") from None
    except FileNotFoundError:
        raise FaceForgeError(f"{path} does not exist, or is out of reach") from None
    except Exception as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        where = "check the address and your access to it, or fetch the file first" if "://" in path else "mend it"
        raise FaceForgeError(f"{path} cannot be read ({told}); {where}") from None


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    system, path = fsspec.core.url_to_fs(url)
    return system, path


def _shown(address: str) -> str:
    """Without a signature that may follow."""
    return address.partition("?")[0]
