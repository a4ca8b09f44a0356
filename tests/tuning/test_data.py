from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.config import resolve
from faceforge.data.augment import augment_image_set
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest.build import build_image_set
from faceforge.errors import FaceForgeError
from faceforge.tuning.data import augmented, carve_validation


def digests(images: ImageSet, split: str) -> set[str]:
    return {record.sha256 for record in images.records(split, images=False)}  # type: ignore[arg-type]


def test_training_validation_and_holdout_never_meet(images: ImageSet, out: Path) -> None:
    search = carve_validation(images, out)
    train, validation = digests(search, "train"), digests(search, "holdout")
    assert train | validation == digests(images, "train")
    assert not train & validation
    assert not (train | validation) & digests(images, "holdout")
    assert 64 <= len(validation) <= 0.4 * len(train)
    # Pixels and labels come along.
    records = {record.sha256: record for record in images.records("train")}
    for record in search.records("holdout"):
        assert (record.image, record.labels) == (records[record.sha256].image, records[record.sha256].labels)


def test_the_split_is_the_same_again_and_is_reused(images: ImageSet, tmp_path: Path) -> None:
    first = carve_validation(images, tmp_path / "a")
    stamp = (tmp_path / "a" / "dataset.json").stat().st_mtime_ns
    assert carve_validation(images, tmp_path / "a").info.digest == first.info.digest
    assert (tmp_path / "a" / "dataset.json").stat().st_mtime_ns == stamp
    assert carve_validation(images, tmp_path / "b").info.digest == first.info.digest


def test_an_augmented_set_is_refused(images: ImageSet, tmp_path: Path) -> None:
    more = augment_image_set(images.root, tmp_path / "more", resolve("toy", "augment.flip=true").augment, seed=0)
    with pytest.raises(FaceForgeError, match="made from another image set"):
        carve_validation(more, tmp_path / "out")
    same = augment_image_set(images.root, tmp_path / "same", resolve("toy").augment, seed=0)  # changes nothing
    assert carve_validation(same, tmp_path / "out").info.counts["holdout"].total >= 64


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    few = build_image_set("toyfaces", tmp_path / "few", resolve("toy", "ingest.limit=200").ingest)
    with pytest.raises(FaceForgeError, match="at least 256 are needed"):
        carve_validation(few, tmp_path / "out")


def test_only_training_images_are_augmented(images: ImageSet, tmp_path: Path) -> None:
    search = carve_validation(images, tmp_path / "search")
    config = resolve("toy", "augment.flip=true").augment
    folder = augmented(search, config, 0, tmp_path / "augmented")
    assert augmented(search, config, 0, tmp_path / "augmented") == folder
    assert augmented(search, resolve("toy").augment, 0, tmp_path / "augmented") != folder
    assert len(ImageSet.open(folder).codes("train")) == 2 * len(search.codes("train"))
    np.testing.assert_array_equal(ImageSet.open(folder).load("holdout")[0], search.load("holdout")[0])
