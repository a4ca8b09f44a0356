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
_SIGNED = re.compile(
    r"(^|&)(x-(amz|goog)-(signature|credential|security-token)|signature|sig|awsaccesskeyid|googleaccessid|(access_?)?token"
    r"|(api|access|secret)?[-_]?key|secret|password|passwd|pwd)=",
    re.IGNORECASE,
)
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


def refuse_credentials(spec: str, *, stored: bool = False) -> None:
    """Refuses a URL with a user or password, which would be stored with the image set and printed.

    Args:
        spec: a source.
        stored: whether the URL is to be stored, as parameters of pipelines are; then a signature is refused as well.

    Raises:
        FaceForgeError: without the credentials.
    """
    if not is_url(spec):
        return
    scheme, _, rest = spec.partition("://")
    place, _, query = rest.partition("?")
    host, _, _ = place.partition("/")
    _, colon, port = host.rpartition(":")
    if "@" in host or ("@" in place and colon and not port.isdigit()):  # a password may hold a slash
        raise FaceForgeError(
            f"the address of the source ({scheme}://...) contains a user name or password; give the address without "
            f"them, and the credentials in the environment: AWS_..., or FSSPEC_{scheme.upper()} (docs/data.md)"
        )
    if stored and _SIGNED.search(query):
        raise FaceForgeError(
            f"the address {_shown(spec)} has a key or signature in its query, which would be stored with the run; "
            "give the credentials in the environment, or fetch the file first"
        )


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
            raise FaceForgeError(f"{_shown(url)} holds no Parquet files")
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
    """Reports the errors of all kinds of stores as FaceForgeErrors, which do not repeat the query of a URL."""
    path, _, query = path.partition("?") if is_url(path) else (path, "", "")
    try:
        yield
    except (FaceForgeError, AttributeError, TypeError, KeyError, IndexError, AssertionError):  # ours or bugs
        raise
    except ImportError as error:
        raise FaceForgeError(f"{path} cannot be read without another package: {error}") from None
    except FileNotFoundError:
        raise FaceForgeError(f"{path} does not exist, or is out of reach") from None
    except Exception as error:
        told = first_line(error)
        reason = f"{type(error).__name__}: {told.replace(query, '...') if query else told}"
        advice = "check the address and your access to it, or fetch the file first" if "://" in path else "repair it"
        raise FaceForgeError(f"{path} cannot be read ({reason}); {advice}") from None


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except TypeError:  # a protocol such as reference://, whose file system needs more than an address
        raise FaceForgeError(
            f"{url.partition('://')[0]}:// is no protocol that names files; fetch them first"
        ) from None
    return system, path


def _shown(address: str) -> str:
    """A URL without its query, which may be a signature."""
    return address.partition("?")[0]
