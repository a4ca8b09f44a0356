"""Image files in zip and tar archives, read where they lie: nothing is ever unpacked to disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import SIGNATURE_BYTES, is_image_signature, unreadable_suffix
from faceforge.data.sources.files import (
    MAX_FILE_BYTES,
    FileBytes,
    Files,
    companions,
    hidden,
    is_image,
    is_table,
    printable,
    suffix,
)
from faceforge.data.sources.samples import InMemory, stamp
from faceforge.errors import FaceForgeError, first_line

_OUTSIDE = "its name leads out of the archive"
_TOO_LARGE = f"more than {MAX_FILE_BYTES // 2**20} MB when unpacked"
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"  # first bytes of compressed files
_DAMAGE = (  # what the readers of the standard library raise on damaged bytes
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    OverflowError,
    MemoryError,
)


def open_archive(file: Path) -> Files | None:
    """The files of a zip or tar archive (plain, gzip, bzip2 or xz), told by content; None if it is neither.

    Raises:
        FaceForgeError: the archive is damaged.
    """
    with file.open("rb") as stream:
        head = stream.read(512)
    try:
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
            return ZipFiles(file)
        if head[257:262] == b"ustar" or head.startswith((_GZIP, _BZIP2, _XZ)):
            return TarFiles(file)
    except _DAMAGE as error:
        raise _damaged(file, error) from None
    return None


@dataclass(frozen=True)
class _Member:
    path: str
    start: int  # of the data, or in zip files of the header before it
    size: int
    problem: str = ""
    packed: ZipBytes | None = None


class _Archive(Files):
    """What zip and tar share: paths are relative to the folder that holds all images and the tables beside them."""

    def __init__(self, file: Path, members: list[_Member]) -> None:
        self.name, self._file = _name(file), file
        shown = [m for m in members if m.problem == _OUTSIDE or not any(hidden(part) for part in m.path.split("/"))]
        tables = [member for member in shown if not member.problem and is_table(member.path)]
        unknown = [m for m in shown if not m.problem and not is_image(m.path) and not is_table(m.path)]
        recognised = {m.path for m, head in zip(unknown, self._heads(unknown), strict=True) if is_image_signature(head)}
        beside = companions(member.path for member in shown)
        self.others = Counter(suffix(path) for path in beside.union(m.path for m in unknown) - recognised)
        self._images = [
            replace(member, problem=member.problem or unreadable_suffix(member.path))
            for member in shown
            if member.problem == _OUTSIDE or is_image(member.path) or member.path in recognised
            if member.path not in beside
        ]
        inside = [member.path for member in self._images if not member.problem]
        top = posixpath.commonpath([posixpath.dirname(path) for path in inside]) if inside else ""
        # A table above the images belongs to them: everything is relative to the highest such folder.
        above = [posixpath.dirname(member.path) for member in tables]
        top = min([top, *(folder for folder in above if f"{top}/".startswith(f"{folder}/") or not folder)], key=len)
        cut = len(top) + 1 if top else 0
        self.paths = [printable(m.path if m.problem else m.path[cut:]) for m in self._images]
        self.problems = {place: member.problem for place, member in enumerate(self._images) if member.problem}
        self._tables = {printable(m.path[cut:]): m for m in tables if m.path.startswith(f"{top}/" if top else "")}
        self.tables = sorted(self._tables)

    def table(self, path: str) -> bytes:
        """Unpacked."""
        try:
            return self._unpack(self._tables[path])
        except _DAMAGE as error:
            raise _damaged(self._file, error) from None

    def stamps(self, tables: Iterable[str]) -> dict[str, str]:
        """The archive, which holds the tables too."""
        return {self._file.name: stamp(self._file)}

    @abstractmethod
    def _heads(self, members: Iterable[_Member]) -> Iterator[bytes]:
        """The first `SIGNATURE_BYTES` of members, in the order of the archive."""

    @abstractmethod
    def _unpack(self, member: _Member) -> bytes:
        """The content of a member."""


@dataclass(frozen=True)
class ZipBytes:
    """Reads one member of a zip file without going through the directory of all the others."""

    file: str
    start: int
    packed: int
    size: int
    method: int
    checksum: int

    def __call__(self) -> bytes:
        """The unpacked bytes; OSError if they are not what the directory promises."""
        data = self._packed(self.packed)
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                data = _inflater().decompress(data, self.size + 1)
            except zlib.error as error:
                raise OSError(f"damaged in the archive: {error}") from None
        if len(data) != self.size or zlib.crc32(data) != self.checksum:
            raise OSError("damaged in the archive: size or checksum differ")
        return data

    def head(self, size: int) -> bytes:
        """The first unpacked bytes; fewer or none if they cannot be read."""
        try:
            data = self._packed(min(self.packed, 4096))
            return data[:size] if self.method == zipfile.ZIP_STORED else _inflater().decompress(data, size)
        except (OSError, zlib.error):
            return b""

    def _packed(self, size: int) -> bytes:
        with open(self.file, "rb") as stream:
            stream.seek(self.start)
            header = stream.read(30)
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise OSError("no zip member at its place")
            stream.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
            return stream.read(size)


def _inflater() -> Any:
    return zlib.decompressobj(-zlib.MAX_WBITS)  # without a zlib header


class ZipFiles(_Archive):
    """Members of a zip file, sorted by name."""

    def __init__(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
            following = [*(entry.header_offset for entry in entries[1:]), archive.start_dir] if entries else []
        members = [
            self._member(file, entry, after)
            for entry, after in zip(entries, following, strict=True)
            if not entry.is_dir()
        ]
        super().__init__(file, sorted(members, key=lambda member: member.path.split("/")))

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One after another."""
        for place in places:
            packed = self._images[place].packed
            assert packed is not None  # noqa: S101 - only members with problems have none
            yield packed

    def _heads(self, members: Iterable[_Member]) -> Iterator[bytes]:
        return (member.packed.head(SIGNATURE_BYTES) if member.packed else b"" for member in members)

    def _unpack(self, member: _Member) -> bytes:
        assert member.packed is not None  # noqa: S101
        return member.packed()

    @staticmethod
    def _member(file: Path, entry: zipfile.ZipInfo, after: int) -> _Member:
        mode = entry.external_attr >> 16
        problem = ""
        if _leads_out(entry.filename):
            problem = _OUTSIDE
        elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = "a link or a device, not a file"
        elif entry.flag_bits & 1:
            problem = "encrypted"
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problem = f"packed by method {entry.compress_type}, which is not read; pack with deflate"
        elif entry.file_size > MAX_FILE_BYTES:
            problem = _TOO_LARGE
        elif entry.header_offset + 30 + entry.compress_size > after:
            problem = "overlaps another member"
        packed = ZipBytes(
            str(file), entry.header_offset, entry.compress_size, entry.file_size, entry.compress_type, entry.CRC
        )
        return _Member(entry.filename, entry.header_offset, entry.file_size, problem, None if problem else packed)


class TarFiles(_Archive):
    """Members of a tar file, in its own order, because a compressed one can only be read from front to back."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            self._head = stream.read(8)
        with self._open(file) as unpacked:
            bounded = _Bounded(unpacked)
            archive = tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:")  # noqa: SIM115 - the stream is closed
            members = []
            while (entry := archive.next()) is not None:
                cast(Any, archive).members.clear()  # or it would keep all it has met
                if not entry.isdir():
                    members.append(self._member(entry))
            if bounded.last.strip(b"\0"):  # tarfile takes a damaged header for the end
                raise tarfile.ReadError("a damaged header")
        super().__init__(file, members)

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """In one pass; the content of compressed members is handed on as it comes."""
        chosen = (self._images[place] for place in places)
        if not self._head.startswith((_GZIP, _BZIP2, _XZ)):
            yield from (FileBytes(str(self._file), member.start, member.size) for member in chosen)
            return
        try:
            with self._open(self._file) as stream:
                for member in chosen:
                    stream.seek(member.start)
                    yield InMemory(stream.read(member.size))
        except _DAMAGE as error:
            raise _damaged(self._file, error) from None

    def _heads(self, members: Iterable[_Member]) -> Iterator[bytes]:
        with self._open(self._file) as stream:
            for member in members:
                stream.seek(member.start)
                yield stream.read(min(member.size, SIGNATURE_BYTES))

    def _unpack(self, member: _Member) -> bytes:
        with self._open(self._file) as stream:
            stream.seek(member.start)
            return stream.read(member.size)

    def _open(self, file: Path) -> IO[bytes]:
        if self._head.startswith(_GZIP):
            return cast(IO[bytes], gzip.open(file))
        if self._head.startswith(_BZIP2):
            return bz2.open(file)
        return lzma.open(file) if self._head.startswith(_XZ) else file.open("rb")

    @staticmethod
    def _member(entry: tarfile.TarInfo) -> _Member:
        problem = ""
        if _leads_out(entry.name):
            problem = _OUTSIDE
        elif not entry.isreg() or entry.issparse():
            problem = "a link or a device, not a file"
        elif entry.size > MAX_FILE_BYTES:
            problem = _TOO_LARGE
        return _Member(entry.name.removeprefix("./"), entry.offset_data, entry.size, problem)


class _Bounded:
    """A stream that refuses to be read in enormous pieces, as a forged header would have it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > MAX_FILE_BYTES:
            raise OSError("a header larger than any can be")
        self.last = self._stream.read(size)
        return self.last


def _damaged(file: Path, error: Exception) -> FaceForgeError:
    told = first_line(error)
    return FaceForgeError(f"archive {file} is damaged or cut off ({told}); get it anew")


def _name(file: Path) -> str:
    while file.suffix.lower() in {".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"}:
        file = file.with_suffix("")
    return file.name


def _leads_out(name: str) -> bool:
    path = name.replace("\\", "/")
    return path.startswith("/") or ".." in path.split("/") or path[1:2] == ":"
