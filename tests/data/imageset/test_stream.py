from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.data.imageset import writer
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.stream import Stream
from faceforge.data.imageset.writer import write_image_set
from faceforge.errors import FaceForgeError

COUNT, EDGE = 50, 8
ROW = EDGE * EDGE * 3


@pytest.fixture
def numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """Fifty images in row groups of four, each of one grey level that is its number; class = number modulo 3."""
    monkeypatch.setattr(writer, "ROWS_PER_GROUP", 4)
    monkeypatch.setattr(writer, "SHARD_BYTES", 2000)
    images = np.repeat(np.arange(COUNT, dtype=np.uint8), ROW).reshape(COUNT, EDGE, EDGE, 3)
    codes = np.arange(COUNT)[:, None] % 3
    splits = {"train": (images, codes), "holdout": (images[:3], codes[:3])}
    made = write_image_set(tmp_path / "set", splits, {"kind": ["a", "b", "c"]})  # type: ignore[arg-type]
    assert len(made.shards("train")) > 1
    return made


def numbers(stream: Stream, steps: range) -> np.ndarray:
    found = []
    for step in steps:
        images, codes = stream.batch(step)
        assert images.dtype == np.uint8
        assert (images == images[:, :1, :1, :1]).all()
        assert (codes[:, 0] == images[:, 0, 0, 0] % 3).all()
        found.append(images[:, 0, 0, 0])
    return np.concatenate(found)


def open_stream(images: ImageSet, batch: int = 7, seed: int = 5, window: int = 12 * ROW) -> Stream:
    return Stream(images, "train", ["kind"], batch, seed, window_bytes=window)


def test_every_epoch_has_every_image_once_in_an_order_of_its_own(numbered: ImageSet) -> None:
    shown = numbers(open_stream(numbered), range(50))  # 350 images: seven epochs
    epochs = shown.reshape(7, COUNT)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(COUNT))
    assert len({epoch.tobytes() for epoch in epochs}) == 7


def test_any_step_can_be_asked_for_first(numbered: ImageSet) -> None:
    whole = numbers(open_stream(numbered), range(40))
    resumed = numbers(open_stream(numbered), range(23, 40))
    np.testing.assert_array_equal(resumed, whole[23 * 7 :])
    assert (numbers(open_stream(numbered, seed=6), range(40)) != whole).any()


def test_only_two_windows_are_in_memory(numbered: ImageSet) -> None:
    stream = open_stream(numbered)
    for step in range(20):
        stream.batch(step)
        assert sum(window._pixels.nbytes for window in stream._windows.values()) <= 2 * 12 * ROW


def test_images_far_apart_come_together(numbered: ImageSet) -> None:
    """Sorted by class on disk, a window still mixes: neighbours in time are not neighbours in the file."""
    shown = numbers(open_stream(numbered, window=24 * ROW), range(7)).astype(int)
    assert np.abs(np.diff(shown)).mean() > 6


def test_one_window_may_hold_all(numbered: ImageSet) -> None:
    shown = numbers(open_stream(numbered, batch=60, window=2**20), range(5))
    assert all(sorted(epoch.tolist()) == list(range(COUNT)) for epoch in shown.reshape(6, COUNT))


def test_without_labels(numbered: ImageSet) -> None:
    assert Stream(numbered, "train", (), 4, 0).batch(0)[1].shape == (4, 0)


def test_a_damaged_shard_is_told(numbered: ImageSet) -> None:
    shard = numbered.shards("train")[0]
    data = bytearray(shard.read_bytes())
    data[40:700] = bytes(660)
    shard.write_bytes(data)
    with pytest.raises(FaceForgeError, match="is damaged"):
        for step in range(8):
            open_stream(numbered).batch(step)
