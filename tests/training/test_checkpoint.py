from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.tracking.servers import S3_KEYS, s3

FINGERPRINT = {"train.kimg": 1.0}
FACTS = {"strength": 0.1 + 0.2, "best": {"swd": None, "step": 5}, "names": ["a", "ä"]}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    with s3("runs") as address:
        yield address


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | Path:
    """A place where there is nothing yet, of each kind."""
    if request.param == "s3":
        pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()  # it remembers other tests' servers
        for name, value in {**S3_KEYS, "AWS_ENDPOINT_URL": request.getfixturevalue("s3_server")}.items():
            monkeypatch.setenv(name, value)
    fresh = uuid4().hex
    places: dict[str, str | Path] = {
        "folder": tmp_path / "deep" / "run",
        "file": f"file://{tmp_path}/run/",
        "memory": f"memory://{fresh}/run",
        "s3": f"s3://runs/{fresh}/run",
    }
    return places[request.param]


def save(place: str | Path, step: int) -> str:
    arrays: list[Any] = [np.full((2, 3), step, np.float32), np.arange(4), np.float32(step)]
    return save_checkpoint(place, Checkpoint(step, 1.5, arrays, FACTS), FINGERPRINT)


def names(place: str | Path) -> list[str]:
    import fsspec

    files, path = fsspec.url_to_fs(str(place))
    files.invalidate_cache()
    return sorted(file.rpartition("/")[2] for file in files.find(path))


def damage(address: str, at: int) -> None:
    """Turns one byte around."""
    import fsspec

    files, path = fsspec.url_to_fs(address)
    content = bytearray(files.cat_file(path))
    content[at] ^= 0xFF
    files.pipe_file(path, bytes(content))


def test_the_newest_of_two_checkpoints_is_loaded(place: str | Path) -> None:
    assert load_checkpoint(place, FINGERPRINT) is None
    for step in (5, 10, 15):
        address = save(place, step)
    assert names(place) == ["step-000000010.npz", "step-000000015.npz"]
    assert address.endswith("/run/step-000000015.npz")
    found = load_checkpoint(place, FINGERPRINT)
    assert found is not None
    assert (found.step, found.seconds, found.facts) == (15, 1.5, FACTS)
    np.testing.assert_array_equal(found.arrays[0], np.full((2, 3), 15, np.float32))
    assert [array.dtype for array in found.arrays] == [np.float32, np.arange(4).dtype, np.float32]
    assert found.arrays[2].shape == ()


def test_the_previous_checkpoint_replaces_a_damaged_one(place: str | Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(place, 5)
    newest = save(place, 10)
    damage(newest, 250)  # inside the header's text: the archive opens all the same
    found = load_checkpoint(place, FINGERPRINT)
    assert found is not None
    assert found.step == 5
    assert "step-000000010.npz" in capsys.readouterr().err
    save(place, 7)  # the run goes on from 5; what it can go on from is kept
    found = load_checkpoint(place, FINGERPRINT)
    assert found is not None
    assert found.step == 7


def test_every_truncation_and_every_flipped_byte_is_detected(tmp_path: Path) -> None:
    path = Path(save(tmp_path, 10))
    whole = path.read_bytes()
    reference = load_checkpoint(tmp_path, FINGERPRINT)
    assert reference is not None
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(FaceForgeError, match="no checkpoint in .* is readable"):
            load_checkpoint(tmp_path, FINGERPRINT)
    for at in range(0, len(whole), 7):
        content = bytearray(whole)
        content[at] ^= 0x10
        path.write_bytes(bytes(content))
        try:
            found = load_checkpoint(tmp_path, FINGERPRINT)
        except FaceForgeError:
            continue
        assert found is not None  # a byte that means nothing, such as a time stamp
        assert (found.step, found.facts) == (10, FACTS)
        for ours, theirs in zip(found.arrays, reference.arrays, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_unreadable_checkpoints_are_an_error_and_no_checkpoints_are_not(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, FINGERPRINT) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "step-000000001.npz").write_text("no archive")
    with pytest.raises(FaceForgeError, match="no checkpoint in .* is readable"):
        load_checkpoint(tmp_path, FINGERPRINT)


def test_other_settings_are_named(place: str | Path) -> None:
    save(place, 5)
    with pytest.raises(FaceForgeError, match="train.kimg: 1.0 there, 2.0 here"):
        load_checkpoint(place, {"train.kimg": 2.0})


def test_leftovers_of_a_killed_attempt_are_removed_by_the_next_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".step-000000005.npz.partial-0123abcd").write_bytes(b"half")
    save(tmp_path, 10)
    assert names(tmp_path) == ["step-000000010.npz"]


def test_unreachable_places_are_reported_in_one_line_before_any_step(
    tmp_path: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    (tmp_path / "file").write_text("x")
    for name, value in {**S3_KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    for place in (tmp_path / "file", "nosuchprotocol://x", "s3://misspelt/run", "s3://misspelt"):
        with pytest.raises(FaceForgeError, match="cannot be (read|written to)") as told:
            load_checkpoint(place, FINGERPRINT)
        assert "\n" not in str(told.value)
        with pytest.raises(FaceForgeError, match="cannot be written to"):
            save(place, 5)
