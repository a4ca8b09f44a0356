from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.synthesis import formats
from faceforge.synthesis.formats import write_format

COLUMNS = {"mood": ["sad", "very glad"], "age": ["5", "50"]}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (25, 32, 32, 1), np.uint8)
    codes = rng.integers(0, 2, (25, 2))
    return write_image_set(tmp_path_factory.mktemp("set") / "set", {"train": (pixels, codes)}, COLUMNS)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SHARD_IMAGES", 10)


def labels(images: ImageSet) -> list[dict[str, str]]:
    return [record.labels for record in images.records("train")]


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))[..., None]


def test_folder(images: ImageSet, tmp_path: Path) -> None:
    write_format(images, "folder", tmp_path / "out")
    with (tmp_path / "out" / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [{column: row[column] for column in COLUMNS} for row in rows] == labels(images)
    first = pixels((tmp_path / "out" / rows[0]["file_name"]).read_bytes())
    np.testing.assert_array_equal(first, images.load("train")[0][0])


def test_a_folder_of_one_column_has_a_sub_folder_per_class(images: ImageSet, data: ImageSet, tmp_path: Path) -> None:
    write_format(data, "folder", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"neutral", "smiling", "glasses", "metadata.csv"}


def test_webdataset(images: ImageSet, tmp_path: Path) -> None:
    write_format(images, "webdataset", tmp_path / "out")
    tars = sorted((tmp_path / "out").glob("*.tar"))
    assert [tar.name for tar in tars] == ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    found, members = [], []
    for tar in tars:
        with tarfile.open(tar) as opened:
            members += opened.getnames()
            found += [json.loads(opened.extractfile(m).read()) for m in opened if m.name.endswith(".json")]  # type: ignore[union-attr]
    assert found == labels(images)
    assert members[:2] == ["000000.png", "000000.json"]


def test_coco(images: ImageSet, tmp_path: Path) -> None:
    write_format(images, "coco", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    names = {each["id"]: (each["supercategory"], each["name"]) for each in content["categories"]}
    found: list[dict[str, str]] = [{} for _ in content["images"]]
    for each in content["annotations"]:
        found[each["image_id"] - 1] |= dict([names[each["category_id"]]])
        assert each["bbox"] == [0, 0, 32, 32]
    assert found == labels(images)
    assert len({each["id"] for each in content["annotations"]}) == 50
    assert all((tmp_path / "out" / "images" / each["file_name"]).is_file() for each in content["images"])


def test_tensorflow_datasets(images: ImageSet, tmp_path: Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    write_format(images, "tfds", tmp_path / "out")
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert builder.info.features["mood"].names == COLUMNS["mood"]
    found = list(tfds.as_numpy(builder.as_dataset(split="train")))
    expected, codes = images.load("train")
    np.testing.assert_array_equal(np.stack([row["image"] for row in found]), expected)
    assert [[row["mood"], row["age"]] for row in found] == codes.tolist()


@pytest.mark.parametrize("form", ["folder", "webdataset", "coco", "tfds"])
def test_formats_are_reproducible_byte_for_byte(form: formats.Format, images: ImageSet, tmp_path: Path) -> None:
    content = []
    for out in (tmp_path / "a", tmp_path / "b"):
        write_format(images, form, out)
        content.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert content[0] == content[1]
