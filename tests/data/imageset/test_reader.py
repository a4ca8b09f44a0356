from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from faceforge.data.imageset import writer
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import ImageSetWriter, write_image_set
from faceforge.data.pixels import Pixels, encode
from faceforge.errors import FaceForgeError

VOCABULARIES = {"hair": ["red", "blond"], "age": ["2", "10"]}


def pictures(count: int, channels: int = 3, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, channels), np.uint8)


def codes(count: int) -> np.ndarray:
    return np.stack([np.arange(count) % 2, np.arange(count) // 2 % 2], 1).astype(np.int32)


def small_set(out: Path, order: list[int] | None = None, channels: int = 3) -> ImageSet:
    images, labels, chosen = pictures(12, channels), codes(12), order or list(range(8))
    splits = {"train": (images[chosen], labels[chosen]), "holdout": (images[8:], labels[8:])}
    return write_image_set(out, splits, VOCABULARIES)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(tmp_path: Path, channels: int) -> None:
    small_set(tmp_path / "set", channels=channels)
    images, labels = ImageSet.open(tmp_path / "set").load("train")
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(images, pictures(12, channels)[:8])
    np.testing.assert_array_equal(labels, codes(12)[:8])


@pytest.mark.parametrize("rows", [[0, 2, 3, 7], [5], []])
def test_some_rows_are_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[int]) -> None:
    monkeypatch.setattr(writer, "ROWS_PER_GROUP", 3)
    monkeypatch.setattr(writer, "SHARD_BYTES", 1)  # a shard per row group
    made = small_set(tmp_path / "set")
    assert len(made.shards("train")) > 1
    images, labels = made.load("train")
    some, some_labels = made.load("train", rows=np.array(rows, np.int64))
    np.testing.assert_array_equal(some, images[rows])
    np.testing.assert_array_equal(some_labels, labels[rows])


def test_label_columns_come_in_the_wanted_order(tmp_path: Path) -> None:
    made = small_set(tmp_path / "set")
    np.testing.assert_array_equal(made.load("train", ["age", "hair"])[1], codes(12)[:8, ::-1])
    assert made.load("holdout", ())[1].shape == (4, 0)
    with pytest.raises(FaceForgeError, match=r"no label column 'mood'; it has hair, age"):
        made.load("train", ["mood"])


def test_info_counts_and_describes(tmp_path: Path) -> None:
    info = small_set(tmp_path / "set").info
    assert info.labels == VOCABULARIES
    assert info.counts["train"].total == 8
    assert info.counts["holdout"].classes == {"hair": {"red": 2, "blond": 2}, "age": {"2": 2, "10": 2}}
    scaled = pictures(12)[:8] / 255
    np.testing.assert_allclose(info.statistics.mean, scaled.mean((0, 1, 2)))
    np.testing.assert_allclose(info.statistics.std, scaled.std((0, 1, 2)))


def test_digest_is_of_the_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small_set(tmp_path / "a").info
    assert small_set(tmp_path / "b", order=[7, 6, 5, 4, 3, 2, 1, 0]).info.digest == first.digest
    monkeypatch.setattr(writer, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(writer, "SHARD_BYTES", 1)
    many = small_set(tmp_path / "c")
    assert many.info.digest == first.digest
    assert [shard.name for shard in many.shards("train")] == [f"train-{n:05d}-of-00008.parquet" for n in range(8)]
    np.testing.assert_array_equal(many.load("train")[0], pictures(12)[:8])
    fewer = small_set(tmp_path / "d", order=[0, 1, 2]).info
    assert fewer.digest != first.digest
    assert fewer.holdout_digest == first.holdout_digest


def test_digest_sees_a_changed_label(tmp_path: Path) -> None:
    images, labels = pictures(2), np.array([[0], [1]])
    digests = {
        write_image_set(tmp_path / "set", {"train": (images, values)}, {"hair": ["red", "blond"]}).info.digest
        for values in (labels, 1 - labels)
    }
    assert len(digests) == 2


def test_other_tools_read_the_shards(tmp_path: Path) -> None:
    small_set(tmp_path / "set")
    frame = pd.read_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
    assert list(frame.columns) == ["image", "hair", "age", "sha256", "source"]
    assert frame["image"][0]["bytes"].startswith(b"\x89PNG")
    assert frame["hair"].tolist()[:2] == ["red", "blond"]


def test_records_stream_with_and_without_images(tmp_path: Path) -> None:
    made = small_set(tmp_path / "set")
    full, bare = list(made.records("holdout")), list(made.records("holdout", images=False))
    assert [record.sha256 for record in full] == [encode(pixels).sha256 for pixels in pictures(12)[8:]]
    assert full[0].labels == {"hair": "red", "age": "2"}
    assert full[0].image
    assert [(r.image, r.path, r.sha256) for r in bare] == [(b"", r.path, r.sha256) for r in full]


def test_unknown_classes_join_the_vocabulary_in_natural_order(tmp_path: Path) -> None:
    made = ImageSetWriter(tmp_path, source="s", image_size=8, channels=3, columns=["age"])
    for number, name in enumerate(["60+", "25-39", "0-12", "9", "unknown", "-1"]):
        made.add("train", encode(pictures(1, seed=number)[0]), "p", {"age": name})
    assert made.finish().labels["age"] == ["-1", "0-12", "9", "25-39", "60+", "unknown"]


def test_what_is_no_image_set_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="does not exist"):
        ImageSet.open(tmp_path / "none")
    with pytest.raises(FaceForgeError, match="not an image set"):
        ImageSet.open(tmp_path)
    file = small_set(tmp_path / "set").root / "dataset.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "format_version": 2}))
    with pytest.raises(FaceForgeError, match="format 2"):
        ImageSet.open(tmp_path / "set")
    for broken in ("{", "[]", json.dumps({**content, "extra": 1})):
        file.write_text(broken)
        with pytest.raises(FaceForgeError, match="damaged"):
            ImageSet.open(tmp_path / "set")


def test_damaged_and_missing_shards_are_told(tmp_path: Path) -> None:
    made = small_set(tmp_path / "set")
    shard = made.shards("train")[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(FaceForgeError, match=r"train split .* damaged"):
        made.load("train")
    with pytest.raises(FaceForgeError, match="damaged"):
        list(made.records("train"))
    shard.unlink()
    with pytest.raises(FaceForgeError, match="lacks shards"):
        made.load("train")


def test_a_reserved_column_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="cannot be called 'source'"):
        ImageSetWriter(tmp_path, source="s", image_size=8, channels=3, columns=["source"])


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FaceForgeError, match="holds files"):
        small_set(tmp_path)
    with pytest.raises(FaceForgeError, match="is a file"):
        small_set(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "precious"
