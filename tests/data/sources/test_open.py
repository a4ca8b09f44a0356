from __future__ import annotations

import shutil
from pathlib import Path

from faceforge.data.ingest.build import build_image_set
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import listing, opened, parquet, refuse, settings


def test_a_limit_takes_from_everywhere(classes_folder: Path) -> None:
    samples = listing(classes_folder, limit=10)
    assert len(samples) == 10
    assert {sample.labels["label"] for sample in samples} == {"cat", "dog"}
    assert [sample.path for sample in samples] == sorted(sample.path for sample in samples)


def test_files_are_known_by_content_not_by_name(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", label=[0, 1, 0, 1])
    shutil.copy(file, tmp_path / "data.bin")
    assert len(listing(tmp_path / "data.bin")) == 4


def test_previews_do_not_make_a_data_set_a_folder_of_images(make_folder: MakeFolder) -> None:
    root = make_folder("preview.png")
    parquet(root / "data" / "train-00000-of-00001.parquet")
    assert len(listing(root)) == 4
    assert opened(root).notes[-1] == "skipped: 1 image files beside the Parquet files"
    make_folder(*(f"{number}.png" for number in range(20)))
    assert len(listing(root)) == 21
    (note,) = opened(root).notes
    assert note.startswith("not used, although they may hold labels: data/train-00000-of-00001.parquet")


def test_other_parquet_files_do_not_replace_images(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    parquet(root / "embeddings.parquet")
    assert len(listing(root)) == 2


def test_image_sets_of_ours_keep_their_splits(tmp_path: Path) -> None:
    made = build_image_set("toyfaces", tmp_path / "set", settings(limit=60, min_class=1))
    source = opened(tmp_path / "set")
    assert source.vocabularies == {"expression": ["neutral", "smiling", "glasses"]}
    splits = [sample.split for sample in listing(tmp_path / "set")]
    assert splits == ["train"] * made.info.counts["train"].total + ["holdout"] * made.info.counts["holdout"].total
    assert source.stamps() == {"dataset.json": made.info.digest}


def test_mistakes_are_told(make_folder: MakeFolder, tmp_path: Path) -> None:
    refuse("does not exist", tmp_path / "none")
    refuse("does not exist", "")
    (tmp_path / "empty").mkdir()
    refuse("holds no images", tmp_path / "empty")
    refuse("names 'label'.*it has none", make_folder("cat/1.png", "cat/2.png", name="one"), labels=("label",))
    refuse("names 'mood'.*it has label", make_folder("a/1.png", "b/2.png", name="two"), labels=("mood",))
    flat = make_folder("1.png", "2.png", name="flat")
    refuse("names 'mood'.*it has none", flat, labels=("mood",))
    refuse("not Parquet, zip, tar, npz, npy or idx; name the folder", flat / "1.png")
    refuse("labels.csv does not exist", flat, flat / "labels.csv")
    refuse("goes with a folder", "toyfaces", flat / "labels.csv")
    refuse("goes with a folder", "digits", labels_from_name="{a}_{b}")
