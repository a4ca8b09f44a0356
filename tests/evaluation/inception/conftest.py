"""Checkpoints as `torch.save` writes them, without PyTorch; the stand-in weights of the reference values."""

import importlib.util
import io
import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

REFERENCE = Path(__file__).parents[1] / "reference"
Arrays = dict[str, NDArray[Any]]
Save = Callable[..., Path]
KINDS = {"<f4": "FloatStorage", "<i8": "LongStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage"}


class _Block:
    """Stands for a storage; its pickle is a persistent id."""

    def __init__(self, key: str, data: NDArray[Any]) -> None:
        self.key, self.data = key, data


class _Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, block: _Block, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> None:
        self.parts: tuple[Any, ...] = (block, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


def dumped(content: Any, blocks: dict[str, _Block]) -> bytes:
    """The pickle of a checkpoint, protocol 2, made by Python's own pickler with stand-ins for PyTorch's names."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for kind in KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, _Block):
                return None
            blocks[thing.key] = thing
            return "storage", getattr(torch, KINDS[thing.data.dtype.str]), thing.key, "cpu", thing.data.size

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "torch", torch)
        patched.setitem(sys.modules, "torch._utils", utils)
        stream = io.BytesIO()
        Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


def tensors(arrays: Arrays) -> OrderedDict[str, Any]:
    """A state dictionary, with the attribute that real ones carry."""
    found: Any = OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        whole = np.array(array, order="C")
        strides = tuple(stride // whole.itemsize for stride in whole.strides)
        found[name] = _Tensor(_Block(str(number), whole), whole.shape, strides, 0)
    found._metadata = OrderedDict(version=1)
    return found


@pytest.fixture(scope="session")
def save_zip() -> Save:
    """`(path, arrays or any content) -> path`, in today's layout."""

    def save(path: Path, content: Any) -> Path:
        blocks: dict[str, _Block] = {}
        if content and all(isinstance(value, np.ndarray) for value in content.values()):
            content = tensors(content)
        data = dumped(content, blocks)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/byteorder", "little")
            for key, block in blocks.items():
                archive.writestr(f"archive/data/{key}", block.data.tobytes())
            archive.writestr("archive/version", "3\n")
        return path

    return save


@pytest.fixture(scope="session")
def save_stream() -> Save:
    """The same in the layout before PyTorch 1.6."""

    def save(path: Path, content: Any) -> Path:
        blocks: dict[str, _Block] = {}
        if all(isinstance(value, np.ndarray) for value in content.values()):
            content = tensors(content)
        body = dumped(content, blocks)
        machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        keys = sorted(blocks)
        with path.open("wb") as stream:
            for part in (0x1950A86A20F9469CFC6C, 1001, machine):
                pickle.dump(part, stream, protocol=2)
            stream.write(body)
            pickle.dump(keys, stream, protocol=2)
            for key in keys:
                stream.write(struct.pack("<q", blocks[key].data.size) + blocks[key].data.tobytes())
        return path

    return save


@pytest.fixture(scope="session")
def standin() -> Arrays:
    """Weights for every tensor of the network, with which the reference features were computed."""
    spec = importlib.util.spec_from_file_location("make_inception_weights", REFERENCE / "make_inception_weights.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    shapes = json.loads((REFERENCE / "inception_tensors.json").read_text())
    return {name: maker.tensor(name, shape) for name, shape in shapes.items()}
