"""Reads files of arrays of images; nothing is unpickled, and sizes are checked before memory is allocated."""

from __future__ import annotations

import csv
import gzip
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels
from faceforge.errors import FaceForgeError, first_line

MAX_ARRAY_BYTES = 8 * 2**30
_PIXELS = "pixels"
_PIXEL = re.compile(r"(pixel|px)_?\d+|\d+x\d+")  # columns of one pixel, as in Kaggle's MNIST
_CELL = 2**22  # characters of a CSV cell: about a megapixel
_DAMAGE = (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile, MemoryError, RuntimeError)


def read_npy(file: Path) -> NDArray[Any]:
    """The array of an `.npy` file, memory-mapped."""
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise _damaged(file, error) from None
    return array


def read_npz(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file by name; arrays of Python objects are left out."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist() if entry.filename.endswith(".npy")}
            if sum(sizes.values()) > MAX_ARRAY_BYTES:
                raise FaceForgeError(f"{file} holds more than {MAX_ARRAY_BYTES // 2**30} GB of arrays; divide it")
            for name, size in sizes.items():
                with archive.open(name) as stream:
                    shape, dtype = _array_header(stream)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize > size:
                    continue
                with archive.open(name) as stream:
                    arrays[name.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
    except _DAMAGE as error:
        raise _damaged(file, error) from None
    return arrays


def read_idx(file: Path) -> Pixels:
    """The array of an idx file (`train-images-idx3-ubyte`, also as `.gz`), uint8.

    Format: two zero bytes, the type (8 = unsigned byte), the number of dimensions, their sizes as big-endian 32-bit
    integers, the values (http://yann.lecun.com/exdb/mnist/).
    """
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file) if packed else file.open("rb") as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08":
                raise ValueError("not an idx file of unsigned bytes")
            shape = tuple(int.from_bytes(stream.read(4), "big") for _ in range(head[3]))
            size = math.prod(shape)
            if size > MAX_ARRAY_BYTES:
                raise ValueError("the header promises an impossible size")
            data = stream.read(size)
        if len(data) < size:
            raise ValueError(f"it ends after {len(data):,} of {size:,} values")
    except _DAMAGE as error:
        raise _damaged(file, error) from None
    return np.frombuffer(data, np.uint8).reshape(shape)


def is_pixel_csv(file: Path) -> bool:
    """Whether a CSV file has a column `pixels` (FER2013), or columns `pixel0`, `pixel1`, ... or `1x1`, `1x2`, ..."""
    with file.open("rb") as stream:
        header = stream.read(2**16).split(b"\n")[0].decode("utf-8", "replace")
    names = [name.strip().strip('"').lower() for name in header.lstrip("\ufeff").split(",")]
    return _PIXELS in names or sum(_is_pixel(name) for name in names) > 15


def read_pixel_csv(file: Path) -> tuple[Pixels, dict[str, list[str]]]:
    """Square images uint8 (N, edge, edge) of a CSV file of grey values, and its other columns.

    Raises:
        FaceForgeError: a row is not a square of values 0..255, or not as large as the first.
    """
    images: list[Pixels] = []
    number = 1
    limit = csv.field_size_limit(_CELL)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            header = [name.strip() for name in next(rows)]
            lower = [name.lower() for name in header]
            single = lower.index(_PIXELS) if _PIXELS in lower else -1
            places = [single] if single >= 0 else [n for n, name in enumerate(lower) if _is_pixel(name)]
            taken = set(places)
            others = {n: name for n, name in enumerate(header) if n not in taken and name}
            columns: dict[str, list[str]] = {name: [] for name in others.values()}
            for row in rows:
                number += 1
                if row:
                    text = row[single].split() if single >= 0 else [row[n] for n in places]
                    images.append(_square(text))
                    if images[-1].shape != images[0].shape:
                        raise ValueError("its image has another size than the first")
                    for n, name in others.items():
                        columns[name].append(row[n])
    except (ValueError, IndexError, StopIteration, csv.Error, UnicodeDecodeError) as error:
        raise FaceForgeError(f"{file}, row {number}: {first_line(error) or 'too few cells'}") from None
    finally:
        csv.field_size_limit(limit)
    if not images:
        raise FaceForgeError(f"{file} has a header but no rows")
    return np.stack(images), columns


def _square(values: list[str]) -> Pixels:
    edge = math.isqrt(len(values))
    if edge * edge != len(values) or not edge:
        raise ValueError(f"{len(values):,} pixels are not a square")
    numbers = np.array(values, np.float64)
    if numbers.min() < 0 or numbers.max() > 255:
        raise ValueError("pixels are not within 0..255")
    return numbers.astype(np.uint8).reshape(edge, edge)


def _is_pixel(name: str) -> bool:
    return _PIXEL.fullmatch(name) is not None


def _array_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(stream)
    return shape, dtype


def _damaged(file: Path, error: BaseException) -> FaceForgeError:
    return FaceForgeError(f"{file} cannot be read as arrays ({first_line(error)})")
