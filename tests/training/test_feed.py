from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.training import feed
from faceforge.training.feed import InMemory, Streamed, open_feed


@pytest.fixture
def small(tmp_path: Path) -> ImageSet:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    splits = {"train": (images, np.arange(20)[:, None] % 2), "holdout": (images[:2], np.zeros((2, 1), int))}
    return write_image_set(tmp_path / "set", splits, {"odd": ["no", "yes"]})  # type: ignore[arg-type]


def test_images_that_fit_are_kept_in_memory(small: ImageSet) -> None:
    opened, place = open_feed(small, ["odd"], batch_size=4, seed=0)
    assert isinstance(opened, InMemory)
    assert place.startswith("in memory (0.00 GiB, room for ")
    assert opened.resident == {}
    images, codes = small.load("train", ["odd"])
    number = {image.tobytes(): index for index, image in enumerate(images)}
    batches = [opened.batch(step) for step in range(5)]
    rows = [number[image.tobytes()] for batch in batches for image in batch["images"]]
    assert sorted(rows) == list(range(20))
    np.testing.assert_array_equal(np.concatenate([batch["labels"] for batch in batches]), codes[rows])


def test_images_that_fit_a_gpu_stay_there_and_steps_name_rows(small: ImageSet) -> None:
    size = 20 * 8 * 8 * 3
    opened, place = open_feed(small, ["odd"], 4, 0, device_memory=4 * size)
    assert place.startswith("on the GPU (0.00 GiB, room for ")
    held, _ = open_feed(small, ["odd"], 4, 0, device_memory=4 * size - 1)
    assert held.resident == {}
    for step in range(7):
        rows = opened.batch(step).pop("rows")
        assert rows.dtype == np.int32
        for name, whole in opened.resident.items():
            np.testing.assert_array_equal(whole[rows], held.batch(step)[name])


def test_images_that_do_not_fit_are_streamed(small: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 20 * 8 * 8 * 3
    monkeypatch.setattr(feed, "total_memory", lambda: 2 * size - 1)
    opened, place = open_feed(small, ["odd"], 4, 0, device_memory=10**12)
    assert isinstance(opened, Streamed)
    assert place.startswith("streamed from Parquet")
    assert opened.resident == {}
    batches = [opened.batch(step) for step in range(5)]
    assert batches[0]["images"].shape == (4, 8, 8, 3)
    assert batches[0]["labels"].shape == (4, 1)
    shown = sorted(image.tobytes() for batch in batches for image in batch["images"])
    assert shown == sorted(image.tobytes() for image in small.load("train")[0])
    assert opened.waited > 0
    opened.close()
    monkeypatch.setattr(feed, "total_memory", lambda: 2 * size)
    assert isinstance(open_feed(small, ["odd"], 4, 0)[0], InMemory)
