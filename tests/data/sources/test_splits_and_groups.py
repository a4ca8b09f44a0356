"""Official splits from folders, columns and files, and groups that stay on one side, for every kind of source."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceforge.data.sources.splits import split_called, split_column
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, parquet, refuse


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, "train")
            for name in ("train", "Training", "train2017", "train_images", "training_set", "train-000000")
        ),
        *((name, "holdout") for name in ("test", "val", "valid", "dev", "PrivateTest", "test_data", "validation")),
        *((name, None) for name in ("cat", "trainer", "testimony", "images", "00000", "test subjects", "")),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_called(name) == split


def test_columns_that_give_splits() -> None:
    assert split_column("Usage", ["Training", "PublicTest"]) == {"Training": "train", "PublicTest": "holdout"}
    assert split_column("partition", ["0", "1", "2"]) == {"0": "train", "1": "holdout", "2": "holdout"}
    assert split_column("is_valid", ["True", "False"]) == {"True": "holdout", "False": "train"}
    assert split_column("split", ["train", "cat"]) is None
    assert split_column("mood", ["train", "test"]) == {"train": "train", "test": "holdout"}
    assert split_column("mood", ["train", "trainer"]) is None
    assert split_column("vehicle", ["train", None]) is None
    assert split_column("split", ["1", "3"]) is None
    assert split_column("split", ["0", "1"]) is None  # which of them is train?


def table(root: Path, columns: str, *rows: str) -> None:
    (root / "labels.csv").write_text("\n".join([columns, *rows]))


def test_a_table_beside_split_folders_keeps_the_splits(make_folder: MakeFolder) -> None:
    root = make_folder("train/1.png", "train/2.png", "test/3.png", "test/4.png")
    rows = ("train/1.png,a", "train/2.png,b", "test/3.png,a", "test/4.png,b")
    table(root, "file_name,mood", *rows)
    assert {sample.path: sample.split for sample in listing(root)} == {
        "train/1.png": "train",
        "train/2.png": "train",
        "test/3.png": "holdout",
        "test/4.png": "holdout",
    }
    assert [sample.split for sample in listing(root, labels=())] == ["holdout", "holdout", "train", "train"]


def test_names_of_files_may_give_the_split(make_folder: MakeFolder) -> None:
    root = make_folder("train_1.png", "train_2.png", "test_1.png")
    assert [sample.split for sample in listing(root)] == ["holdout", "train", "train"]
    assert {sample.split for sample in listing(make_folder("train_1.png", "1.png", name="some"))} == {None}


def test_each_split_may_have_its_own_table(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{split}/{n}.png" for split in ("train", "test") for n in (1, 2)))
    for split, moods in (("train", "ab"), ("test", "ba")):
        text = "\n".join(["file_name,mood", f"1.png,{moods[0]}", f"2.png,{moods[1]}"])
        (root / split / "metadata.csv").write_text(text)
    assert {sample.path: (sample.labels["mood"], sample.split) for sample in listing(root)} == {
        "train/1.png": ("a", "train"),
        "train/2.png": ("b", "train"),
        "test/1.png": ("b", "holdout"),
        "test/2.png": ("a", "holdout"),
    }


def test_a_split_column_is_the_split_and_not_a_label(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{n}.png" for n in range(4)))
    table(root, "file_name,mood,Split", "0.png,a,train", "1.png,b,train", "2.png,a,test", "3.png,b,test")
    for samples in (listing(root), listing(root, labels=("mood",)), listing(root, labels=())):
        assert [sample.split for sample in samples] == ["train", "train", "holdout", "holdout"]
    assert opened(root).labels == ("mood",)


def test_a_split_column_of_parquet(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", label=["a", "b", "a", "b"], split=["train", "train", "val", "val"])
    assert [sample.split for sample in listing(file)] == ["train", "train", "holdout", "holdout"]


def test_a_third_folder_beside_splits_is_left_out_and_not_a_class(make_folder: MakeFolder) -> None:
    root = make_folder("train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png", "extra/5.png")
    assert labels_of(listing(root)) == {
        f"{path}.png": {"label": path.split("/")[1]}
        for path in ("test/cat/3", "test/dog/4", "train/cat/1", "train/dog/2")
    }
    assert opened(root).notes == ("extra/ is not in a split, so its images are left out (1)",)


def test_folders_inside_splits_that_only_hold_images_are_no_classes(make_folder: MakeFolder) -> None:
    root = make_folder("data/train/images/1.png", "data/train/images/2.png", "data/valid/images/3.png")
    assert [(sample.labels, sample.split) for sample in listing(root)] == [({}, "train")] * 2 + [({}, "holdout")]


def test_one_folder_called_like_a_split_is_not_a_class_unless_asked_for(make_folder: MakeFolder) -> None:
    root = make_folder("valid/1.png", "invalid/2.png")
    source = opened(root)
    assert (source.labels, [sample.split for sample in source.samples()]) == ((), [None, None])
    assert "some are called like splits" in source.notes[0]
    assert opened(root, labels=("label",)).labels == ("label",)


PEOPLE = [f"{person}/{person}_{n}.png" for person in ("ann", "bob", "cas") for n in range(3)]


@pytest.mark.parametrize("group", ["folder", "label", "{person}_{number}"])
def test_groups_of_folders_and_names(make_folder: MakeFolder, group: str) -> None:
    samples = listing(make_folder(*PEOPLE), group=group, labels=())
    assert [(sample.group, sample.labels) for sample in samples] == [(path[:3], {}) for path in PEOPLE]


def test_the_field_of_a_pattern_is_a_group(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{person}_{mood}_{n}.png" for person in "ab" for mood in "xy" for n in range(2)))
    samples = listing(root, labels_from_name="{person}_{mood}_{n}", group="person", labels=("mood",))
    assert [(sample.group, sample.labels["mood"]) for sample in samples] == [
        (person, mood) for person in "ab" for mood in "xy" for _ in range(2)
    ]


def test_a_column_of_a_table_is_a_group(make_folder: MakeFolder) -> None:
    root = make_folder("0.png", "1.png", "2.png", "3.png")
    table(root, "file_name,mood,person", "0.png,a,ann", "1.png,b,ann", "2.png,a,bob", "3.png,b,bob")
    source = opened(root, group="person")
    assert source.labels == ("mood",)
    assert [sample.group for sample in source.samples()] == ["ann", "ann", "bob", "bob"]
    refuse("ingest.group = 'name' is not a column .file_name|ingest.group = 'name' is not a column", root, group="name")


def test_a_column_of_parquet_is_a_group(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", label=["a", "b", "a", "b"], person=["ann", "ann", "bob", "bob"])
    assert [sample.group for sample in listing(file, group="person")] == ["ann", "ann", "bob", "bob"]
    refuse("ingest.group = 'who' is not a column of a", file, group="who")


def test_groups_on_both_sides_of_official_splits_are_mentioned(make_folder: MakeFolder) -> None:
    root = make_folder("train/ann_1.png", "train/bob_1.png", "test/ann_2.png", "test/cas_1.png")
    assert opened(root, group="{person}_{n}").notes == (
        "1 groups have images on both sides of the official split, which is kept",
    )


@pytest.mark.parametrize("column", ["Dataset", "mode", "split"])
def test_any_column_of_splits_is_the_official_split(make_folder: MakeFolder, column: str) -> None:
    root = make_folder(*(f"{n}.png" for n in range(4)))
    values = ("Train", "train", "Test", "val")
    rows = [f"{n}.png,{value},{'ab'[n % 2]}" for n, value in enumerate(values)]
    (root / "list.csv").write_text("\n".join([f"file,{column},mood", *rows]))
    source = opened(root)
    assert [sample.split for sample in source.samples()] == ["train", "train", "holdout", "holdout"]
    assert source.labels == ("mood",)
    assert source.notes == ((f"column {column!r} gives the official split",) if column != "split" else ())
    (root / "list.csv").write_text("\n".join(f"{value},gs://bucket/{n}.png,{n % 2}" for n, value in enumerate(values)))
    assert [sample.split for sample in listing(root)] == ["train", "train", "holdout", "holdout"]  # without header


def test_values_of_a_split_column_that_name_no_split(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{n}.png" for n in range(6)))
    rows = [f"{n}.png,{('train', 'test', 'extra')[n % 3]},{'ab'[n % 2]}" for n in range(6)]
    (root / "list.csv").write_text("\n".join(["file,split,mood", *rows]))
    source = opened(root)
    assert [sample.path for sample in source.samples()] == ["0.png", "1.png", "3.png", "4.png"]
    assert "images of the splits extra are left out (2)" in source.notes
    (root / "list.csv").write_text("\n".join(row.replace("split", "fold") for row in ["file,split,mood", *rows]))
    numbers = [f"{n}.png,{n % 3},{'ab'[n % 2]}" for n in range(6)]
    (root / "list.csv").write_text("\n".join(["file,fold,mood", *numbers, "7.png,3,a"]))
    assert "column 'fold' (0, 1, 2, 3) does not say which images are held out" in " ".join(opened(root).notes)


def test_a_column_of_splits_in_parquet_whatever_its_name(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", phase_of_study=["train", "train", "test", "val"], label=[0, 1, 0, 1])
    assert [sample.split for sample in listing(file)] == ["train", "train", "holdout", "holdout"]
