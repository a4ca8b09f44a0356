"""Checkpoints are read to the bit, and nothing in them is ever run."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception.checkpoint import read_checkpoint
from faceforge.evaluation.inception.pickle_reader import PickleError, read_pickle

Save = Callable[..., Path]
ARRAYS = {
    "a.weight": np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32),
    "a.steps": np.array(7),
    "b": np.arange(5, dtype=np.float64),
    "c": np.array([1.5, -2], np.float16),
}


@pytest.mark.parametrize("layout", ["save_zip", "save_stream"])
def test_reads_both_layouts(layout: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = read_checkpoint(request.getfixturevalue(layout)(tmp_path / "x.pth", ARRAYS))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_reads_views_of_a_storage_and_a_state_dict_inside(tmp_path: Path, save_zip: Save) -> None:
    module: Any = save_zip.__globals__
    block = module["_Block"]("0", np.arange(12, dtype=np.float32))
    transposed = module["_Tensor"](block, (2, 3), (1, 4), 2)
    found = read_checkpoint(save_zip(tmp_path / "x.pth", {"state_dict": {"t": transposed}, "epoch": 3}))
    np.testing.assert_array_equal(found["t"], [[2, 6, 10], [3, 7, 11]])


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("layout", ["save_zip", "save_stream"])
def test_a_malicious_pickle_is_refused_and_not_run(layout: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    marker = tmp_path / "ran"
    path = request.getfixturevalue(layout)(tmp_path / "x.pth", {"a": Attack(marker)})
    with pytest.raises(FaceForgeError, match=r"wants to run 'posix.system'"):
        read_checkpoint(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Attack(marker)))
    assert marker.exists()  # the attack itself works: it was the reader that did not run it


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(X\x05\x00\x00\x001 + 1tR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x051 + 1\x85R.",  # STACK_GLOBAL
        b"(S'true'\nios\nsystem\n.",  # INST
        b"ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x80\x02ccollections\nOrderedDict\n(]tR.",  # a known name, called in another way
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x82\x01.",  # EXT1
        b"\x80\x02}q\x00h\x05.",  # a memo that is not there
        b"\x80\x02}",  # ends early
        b"",
    ],
)
def test_whatever_a_checkpoint_does_not_need_is_refused(code: bytes) -> None:
    with pytest.raises(PickleError):
        read_pickle(io.BytesIO(code))


def test_damage_is_told_in_one_line(tmp_path: Path, save_zip: Save, save_stream: Save) -> None:
    whole = save_stream(tmp_path / "x.pth", ARRAYS).read_bytes()
    broken = tmp_path / "broken.pth"
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-3]):
        broken.write_bytes(content)
        with pytest.raises(FaceForgeError, match="not a checkpoint that can be used") as caught:
            read_checkpoint(broken)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("archive/other", "")
    with pytest.raises(FaceForgeError, match="without data.pkl"):
        read_checkpoint(broken)


def test_tensors_beyond_their_storage_and_lying_sizes_are_refused(tmp_path: Path, save_zip: Save) -> None:
    module: Any = save_zip.__globals__
    block = module["_Block"]("0", np.arange(12, dtype=np.float32))
    for shape, strides, offset in (((13,), (1,), 0), ((2,), (1,), 11), ((3, 5), (5, 1), 0), ((2,), (1, 1), 0)):
        tensor = module["_Tensor"](block, shape, strides, offset)
        with pytest.raises(FaceForgeError, match="beyond its storage|impossible shape"):
            read_checkpoint(save_zip(tmp_path / "x.pth", {"t": tensor}))
    path = save_zip(tmp_path / "x.pth", {"t": np.zeros(4, np.float32)})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data + b"\0" * 4 if name == "archive/data/0" else data)
    with pytest.raises(FaceForgeError, match="another size than it says"):
        read_checkpoint(path)
