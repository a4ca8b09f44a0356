"""Reads PyTorch checkpoints (`.pth`) into dictionaries of arrays, without PyTorch and without running the pickle.

Both layouts of `torch.save`: the zip archive (`NAME/data.pkl` and a file per storage), and the older stream (five
pickles, then the storages one after another, each with its length in front).
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception.pickle_reader import PickleError, Storage, Tensor, read_pickle

Array = NDArray[Any]
MAX_BYTES = 2**30  # of all storages together: ten times the network's
_MAGIC = 0x1950A86A20F9469CFC6C


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Reads the tensors of a checkpoint by name, as read-only arrays.

    Raises:
        FaceForgeError: no checkpoint, a damaged one, or one whose pickle wants to do anything but list tensors.
    """
    try:
        tensors, storages = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except (PickleError, zipfile.BadZipFile, OSError, KeyError, struct.error) as error:
        reason = f"it {error}" if isinstance(error, PickleError) else f"it is damaged: {error}"
        raise FaceForgeError(f"{path} is not a checkpoint that can be used: {reason}; fetch it again") from None


Tensors = dict[str, Tensor]
Blocks = dict[str, Array]


def _read_zip(path: Path) -> tuple[Tensors, Blocks]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("is a zip archive without data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise PickleError("was written by a big-endian machine")
        with archive.open(pickles[0]) as stream:
            tensors = _tensors(read_pickle(stream))

        def block(storage: Storage) -> bytes:
            name = f"{folder}data/{storage.key}"
            if archive.getinfo(name).file_size != _size(storage):
                raise PickleError(f"has a storage {storage.key} of another size than it says")
            return archive.read(name)

        return tensors, _load(_storages(tensors), block)


def _read_stream(path: Path) -> tuple[Tensors, Blocks]:
    with path.open("rb") as stream:
        if read_pickle(stream) != _MAGIC:
            raise PickleError("was not written by torch.save")
        _version, machine, content, keys = (read_pickle(stream) for _ in range(4))
        if not (isinstance(machine, dict) and machine.get("little_endian")):
            raise PickleError("was written by a big-endian machine")
        tensors = _tensors(content)
        storages = _storages(tensors)

        def block(storage: Storage) -> bytes:
            count = struct.unpack("<q", stream.read(8))[0]
            data = stream.read(_size(storage))
            if count != storage.length or len(data) != _size(storage):
                raise PickleError(f"has a storage {storage.key} of another size than it says")
            return data

        return tensors, _load({key: storages[key] for key in keys}, block)


def _tensors(content: Any) -> Tensors:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise PickleError("does not hold named tensors")
    return {str(name): tensor for name, tensor in content.items()}


def _storages(tensors: Tensors) -> dict[str, Storage]:
    return {tensor.storage.key: tensor.storage for tensor in tensors.values()}


def _size(storage: Storage) -> int:
    return storage.length * np.dtype(storage.dtype).itemsize


def _load(storages: dict[str, Storage], block: Callable[[Storage], bytes]) -> Blocks:
    if sum(_size(storage) for storage in storages.values()) > MAX_BYTES:
        raise PickleError(f"says it holds more than {MAX_BYTES:,} bytes")
    return {key: np.frombuffer(block(storage), storage.dtype) for key, storage in storages.items()}


def _array(tensor: Tensor, storages: Blocks) -> Array:
    data = storages[tensor.storage.key]
    if len(tensor.shape) != len(tensor.strides):
        raise PickleError("has a tensor of impossible shape")
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if not 0 <= tensor.offset <= last < len(data):
        raise PickleError("has a tensor that reaches beyond its storage")
    strides = tuple(stride * data.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(data[tensor.offset :], tensor.shape, strides, writeable=False)
