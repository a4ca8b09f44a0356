"""Files that fsspec can read: local, in object stores, over HTTP."""

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
    """A local or remote file.

    Attributes:
        path: for display, without folders of this machine and without the query of a URL.
        address: a local path, or a URL.
    """

    path: str
    address: str

    @classmethod
    def local(cls, file: Path, path: str) -> Remote:
        """A local file."""
        return cls(path, str(file))

    def open(self) -> IO[bytes]:
        """Opens it for reading with random access."""
        if not is_url(self.address):
            return open(self.address, "rb")
        system, path = _system(self.address)
        stream: IO[bytes] = system.open(path, "rb")
        return stream

    def stamp(self) -> str:
        """A text that changes with the content: size and modification time, or the ETag of the store."""
        if not is_url(self.address):
            return stamp(Path(self.address))
        with _reported(self.path):
            system, path = _system(self.address)
            info = system.info(path)
        return ", ".join(f"{key} {info[key]}" for key in _STAMPS if info.get(key) is not None)


def is_url(spec: str) -> bool:
    """Whether a source is a URL such as `s3://bucket/faces.parquet`."""
    return _URL.match(spec) is not None


def find_parquet(url: str) -> list[Remote]:
    """The Parquet files at a URL: the file itself, those that match its `*`, or those in a folder.

    Raises:
        FaceForgeError: there are none, access is denied, or the protocol is not supported.
    """
    with _reported(url):
        system, path = _system(url)
        if "*" in path:
            matches = system.glob(path)
        elif re.search(r"\.(parquet|pq)(\?|$)", path, re.IGNORECASE) or system.isfile(path):
            matches = [path]
        else:
            matches = [file for file in system.find(path) if file.lower().endswith((".parquet", ".pq"))]
        if not matches:
            raise FaceForgeError(f"{url} holds no Parquet files")
        files = sorted(str(system.unstrip_protocol(file)) for file in matches)
        return [Remote(_shown(file), file) for file in files]


@contextmanager
def reading(file: Remote) -> Iterator[IO[bytes]]:
    """Opens a Parquet or Arrow file; errors in the block are reported as faults of this file."""
    with _reported(file.path):
        try:
            with file.open() as stream:
                yield stream
        except pa.ArrowException as error:
            kind = "Arrow" if file.path.lower().endswith(".arrow") else "Parquet"
            raise FaceForgeError(f"{file.path} is not a readable {kind} file: {first_line(error)}") from None


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Reports the errors of all kinds of stores as FaceForgeErrors."""
    try:
        yield
    except (FaceForgeError, AttributeError, TypeError, KeyError, IndexError, AssertionError):  # ours or bugs
        raise
    except ImportError as error:
        raise FaceForgeError(f"{path} cannot be read without another package: {error}") from None
    except FileNotFoundError:
        raise FaceForgeError(f"{path} does not exist, or is out of reach") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        advice = "check the address and your access to it, or fetch the file first" if "://" in path else "repair it"
        raise FaceForgeError(f"{path} cannot be read ({reason}); {advice}") from None


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    system, path = fsspec.core.url_to_fs(url)
    return system, path


def _shown(address: str) -> str:
    """A URL without its query, which may be a signature."""
    return address.partition("?")[0]
