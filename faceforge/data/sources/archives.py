"""Image files in zip and tar archives, read in place: nothing is unpacked to disk."""

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.formats import SIGNATURE_BYTES, is_image_signature, unreadable_suffix
from faceforge.data.sources.files import (
    LABEL_SUFFIXES,
    MAX_FILE_BYTES,
    FileBytes,
    Files,
    companions,
    has_image_suffix,
    hidden,
    may_be_image,
    not_a_pointer,
    printable,
    suffix,
)
from faceforge.data.sources.samples import InMemory, stamp
from faceforge.errors import FaceForgeError, first_line

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
_OUTSIDE = "its name leads out of the archive"
_TOO_LARGE = f"more than {MAX_FILE_BYTES // 2**20} MB when unpacked"
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"  # first bytes of compressed files
_UTF8_NAME = 0x800  # flag of zip members
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
    """The files of a zip or tar archive (plain, gzip, bzip2 or xz), recognised by content; None for other files.

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
    start: int  # of the data; in zip files, of the header before it
    size: int
    problem: str = ""
    packed: ZipBytes | None = None
    is_image: bool = False


class _Archive(Files):
    """What zip and tar share. Paths are relative to the folder that holds all images and label documents."""

    def __init__(self, file: Path, members: list[_Member]) -> None:
        self.name, self._file = _name(file), file
        visible = [m for m in members if m.problem == _OUTSIDE or not any(hidden(part) for part in m.path.split("/"))]
        beside = companions(member.path for member in visible)
        self._images = [
            replace(member, problem=member.problem or unreadable_suffix(member.path))
            for member in visible
            if (member.problem == _OUTSIDE or member.is_image) and member.path not in beside
        ]
        others = [m for m in visible if not m.problem and (not m.is_image or m.path in beside)]
        kept = [m.path for m in self._images if not m.problem] + [m.path for m in others if _may_hold_labels(m.path)]
        top = posixpath.commonpath([posixpath.dirname(path) for path in kept]) if kept else ""
        cut = len(top) + 1 if top else 0
        self.paths = [printable(m.path if m.problem else m.path[cut:]) for m in self._images]
        self.problems = {place: member.problem for place, member in enumerate(self._images) if member.problem}
        within = f"{top}/" if top else ""
        self._documents = {printable(m.path.removeprefix(within)): m for m in others}
        self.documents = sorted(self._documents)

    def read(self, document: str) -> bytes:
        """Unpacked."""
        try:
            return self._unpack(self._documents[document])
        except _DAMAGE as error:
            raise _damaged(self._file, error) from None

    def stamps(self, documents: Iterable[str]) -> dict[str, str]:
        """One for the archive, which contains the documents too."""
        return {self._file.name: stamp(self._file)}

    @abstractmethod
    def _unpack(self, member: _Member) -> bytes:
        """The content of a member."""


@dataclass(frozen=True)
class ZipBytes:
    """Reads one member of a zip file without reading the directory of all members."""

    file: str
    start: int
    packed: int
    size: int
    method: int
    checksum: int

    def __call__(self) -> bytes:
        """The unpacked bytes; OSError if size or checksum differ from the directory."""
        data = self._packed(self.packed)
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                data = _inflater().decompress(data, self.size + 1)
            except zlib.error as error:
                raise OSError(f"damaged in the archive: {error}") from None
        if len(data) != self.size or zlib.crc32(data) != self.checksum:
            raise OSError("damaged in the archive: size or checksum differ")
        return not_a_pointer(data)

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
                raise OSError("the archive has no member at this position")
            stream.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
            return stream.read(size)


def _inflater() -> Any:
    return zlib.decompressobj(-zlib.MAX_WBITS)  # without a zlib header


class ZipFiles(_Archive):
    """Members of a zip file, sorted by name.

    Names without the UTF-8 flag are read as UTF-8 where they are valid. In names without a slash, a backslash separates
    folders, because old versions of .NET write such archives, and other programs add members to them.
    """

    def __init__(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
            following = [*(entry.header_offset for entry in entries[1:]), archive.start_dir] if entries else []
        names = [name if "/" in name else name.replace("\\", "/") for name in map(_decoded, entries)]
        members = [
            self._member(file, entry, name, after)
            for entry, name, after in zip(entries, names, following, strict=True)
            if not entry.is_dir() and not name.endswith("/")
        ]
        super().__init__(file, sorted(members, key=lambda member: member.path.split("/")))

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One reader for each member."""
        for place in places:
            packed = self._images[place].packed
            assert packed is not None  # noqa: S101 - only members with problems have none
            yield packed

    def _unpack(self, member: _Member) -> bytes:
        assert member.packed is not None  # noqa: S101
        return member.packed()

    @staticmethod
    def _member(file: Path, entry: zipfile.ZipInfo, name: str, after: int) -> _Member:
        mode = entry.external_attr >> 16
        problem = ""
        if _leads_out(name):
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
        is_image = has_image_suffix(name) or (
            not problem and may_be_image(name) and is_image_signature(packed.head(SIGNATURE_BYTES))
        )
        return _Member(name, entry.header_offset, entry.file_size, problem, None if problem else packed, is_image)


class TarFiles(_Archive):
    """Members of a tar file in the order of the archive, because a compressed one can only be read sequentially."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            self._head = stream.read(8)
        with self._open(file) as unpacked:
            bounded = _Bounded(unpacked)
            archive = tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:")  # noqa: SIM115 - the stream is closed
            members = []
            while (entry := archive.next()) is not None:
                cast(Any, archive).members.clear()  # tarfile would keep all of them in memory
                if not entry.isdir():
                    members.append(self._member(entry, unpacked))
            if bounded.last.strip(b"\0"):  # tarfile mistakes a damaged header for the end
                raise tarfile.ReadError("a damaged header")
        super().__init__(file, members)

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One reader for each member; compressed members are read here, in one pass."""
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

    def read_many(self, documents: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """In one pass over the archive."""
        wanted = sorted(documents, key=lambda path: self._documents[path].start)
        try:
            with self._open(self._file) as stream:
                for path in wanted:
                    stream.seek(self._documents[path].start)
                    yield path, stream.read(self._documents[path].size)
        except _DAMAGE as error:
            raise _damaged(self._file, error) from None

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
    def _member(entry: tarfile.TarInfo, stream: IO[bytes]) -> _Member:
        problem = ""
        if _leads_out(entry.name):
            problem = _OUTSIDE
        elif not entry.isreg() or entry.issparse():
            problem = "a link or a device, not a file"
        elif entry.size > MAX_FILE_BYTES:
            problem = _TOO_LARGE
        name = entry.name.removeprefix("./")
        is_image = has_image_suffix(name)
        if not is_image and not problem and may_be_image(name):
            stream.seek(entry.offset_data)  # tarfile seeks to the next header by itself
            is_image = is_image_signature(stream.read(min(entry.size, SIGNATURE_BYTES)))
        return _Member(name, entry.offset_data, entry.size, problem, is_image=is_image)


class _Bounded:
    """A stream that refuses very large reads, which a forged header could cause."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > MAX_FILE_BYTES:
            raise OSError("a header of impossible size")
        self.last = self._stream.read(size)
        return self.last


def _damaged(file: Path, error: Exception) -> FaceForgeError:
    return FaceForgeError(f"archive {file} is damaged or cut off ({first_line(error)}); get it anew")


def _name(file: Path) -> str:
    while file.suffix.lower() in ARCHIVE_SUFFIXES:
        file = file.with_suffix("")
    return file.name


def _leads_out(name: str) -> bool:
    path = name.replace("\\", "/")
    return path.startswith("/") or ".." in path.split("/") or path[1:2] == ":"


def _decoded(entry: zipfile.ZipInfo) -> str:
    """The name of a zip member; Python reads those without the UTF-8 flag as code page 437."""
    if entry.flag_bits & _UTF8_NAME or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode()
    except UnicodeError:
        return entry.filename


def _may_hold_labels(path: str) -> bool:
    return suffix(path) in LABEL_SUFFIXES
