"""A data set that TensorFlow Datasets prepares here, without a network, with features as real ones have them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources.tfds import _LANDMARKS
from tests.data.conftest import noise
from tests.data.sources.conftest import listing, opened, refuse, settings

TRAIN, TEST = 40, 20


def example(number: int) -> dict[str, Any]:
    return {
        "image": noise(number, 24),
        "label": number % 2,
        "attributes": {"Smiling": number % 3 == 0, "Male": number % 2 == 0},
        "identity": {"Identity_No": number // 2},
        "landmarks": {f"{name}_{axis}": number + (axis == "y") for name in _LANDMARKS for axis in "xy"},
        "tags": [0] if number % 2 else [0, 1],
        "hot": [True, False, number % 2 == 1],
        "age": number % 3,
        "name": f"n{number % 2}",
        "person": f"p{number}",
        "weight": number / 2,
    }


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    tfds = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")
    kinds = tfds.features

    class TinyFaces(tfds.core.GeneratorBasedBuilder):  # type: ignore[name-defined]
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": kinds.Image(shape=(None, None, 3), encoding_format="png"),
                "label": kinds.ClassLabel(names=["cat", "dog"]),
                "attributes": {"Smiling": np.bool_, "Male": np.bool_},
                "identity": {"Identity_No": np.int64},
                "landmarks": {f"{name}_{axis}": np.int64 for name in _LANDMARKS for axis in "xy"},
                "tags": kinds.Sequence(kinds.ClassLabel(names=["hat", "coat"])),
                "hot": kinds.Tensor(shape=(3,), dtype=np.bool_),
                "age": np.int64,
                "name": kinds.Text(),
                "person": kinds.Text(),
                "weight": np.float32,
            }
            return tfds.core.DatasetInfo(builder=self, features=kinds.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples(0, TRAIN), "test": self._generate_examples(TRAIN, TRAIN + TEST)}

        def _generate_examples(self, start: int, stop: int) -> Any:
            return ((number, example(number)) for number in range(start, stop))

    folder = tmp_path_factory.mktemp("tfds")
    TinyFaces(data_dir=str(folder)).download_and_prepare()
    return str(folder)


def number_of(sample: Any) -> int:
    return int(sample.group) * 2 + (sample.labels["label"] == "dog")


def test_images_labels_splits_and_faces(data_dir: str) -> None:
    wanted = ("label", "Smiling", "tags_coat", "hot_2", "age", "name")
    source = opened("tfds:tiny_faces", data_dir=data_dir, labels=wanted)
    assert (source.name, source.labels, source.count) == ("tfds:tiny_faces", wanted, TRAIN + TEST)
    assert source.vocabularies == {"label": ["cat", "dog"]}
    samples = listing("tfds:tiny_faces", data_dir=data_dir, labels=wanted)
    assert sorted(map(number_of, samples)) == list(range(TRAIN + TEST))
    for sample in samples:
        number = number_of(sample)
        assert sample.labels == {
            "label": "dog" if number % 2 else "cat",
            "Smiling": str(int(number % 3 == 0)),
            "tags_coat": str(int(number % 2 == 0)),
            "hot_2": str(number % 2),
            "age": str(number % 3),
            "name": f"n{number % 2}",
        }
        assert sample.split == ("train" if number < TRAIN else "holdout")
        assert sample.landmarks == ((number, number + 1.0),) * 5
        assert isinstance(sample.read(), bytes)  # still encoded: workers decode
    assert [sample.path for sample in source.samples(38, 42)] == ["train/38", "train/39", "test/0", "test/1"]


def test_an_image_set_of_it(data_dir: str, tmp_path: Path) -> None:
    made = build_image_set("tfds:tiny_faces", tmp_path / "set", settings(data_dir=data_dir))
    assert made.info.labels == {"label": ["cat", "dog"]}
    assert {split: counts.total for split, counts in made.info.counts.items()} == {"train": TRAIN, "holdout": TEST}
    assert "Male, Smiling" in made.info.notes[0] or "Smiling, Male" in made.info.notes[0]
    for hidden in ("Identity_No", "lefteye_x", "weight"):
        assert hidden not in made.info.notes[0]
    found = {bytes(image) for image in np.concatenate([made.load(split)[0] for split in ("train", "holdout")])}
    assert len(found) == TRAIN + TEST


def test_mistakes_are_told(data_dir: str, tmp_path: Path) -> None:
    refuse("tfds:no_such_faces is not known", "tfds:no_such_faces", data_dir=data_dir)
    refuse("no_such_folder' is no folder", "tfds:tiny_faces", data_dir="no_such_folder")
    refuse("names 'mood'.*it has label", "tfds:tiny_faces", data_dir=data_dir, labels=("mood",))
    refuse("is not known to TensorFlow Datasets, nor prepared", "tfds:tiny_faces:9.9.9", data_dir=data_dir)


def test_names_are_no_labels_unless_asked_for(data_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceforge.data.sources.classes.MAX_CLASSES", 20)
    refuse("'person' has 60 different values", "tfds:tiny_faces", data_dir=data_dir, labels=("person",))
    monkeypatch.setattr("faceforge.data.sources.columns.USUAL_LABEL", "person")  # as in lfw
    source = opened("tfds:tiny_faces", data_dir=data_dir)
    assert source.labels == ()
    assert source.notes[-1] == "not taken as labels, because they have too many values: person (60)"
    assert next(source.samples()).labels == {}


def test_another_copy_of_it_is_the_same(data_dir: str, tmp_path: Path) -> None:
    copied = shutil.copytree(data_dir, tmp_path / "copy", copy_function=shutil.copy)  # with times of its own
    one, other = (opened("tfds:tiny_faces", data_dir=str(folder)).fingerprint() for folder in (data_dir, copied))
    assert one == other


def test_it_changes_when_its_files_change(data_dir: str) -> None:
    before = opened("tfds:tiny_faces", data_dir=data_dir)
    assert before.fingerprint() == opened("tfds:tiny_faces", data_dir=data_dir).fingerprint()
    assert {name.split("/")[-1].split(".")[0] for name in before.stamps()} == {"tiny_faces-train", "tiny_faces-test"}
