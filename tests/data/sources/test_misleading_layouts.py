"""Layouts whose folders, names and files mislead: storage that looks like classes, splits and masks in odd places."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from faceforge.data.sources.samples import Sample
from faceforge.data.sources.split_lists import split_of_file
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, picture, problems_of
from tests.data.sources.test_archives import write_tar

SEXES = ("man", "woman")


def moods(samples: list[Sample]) -> list[str | None]:
    return [sample.labels.get("mood") for sample in sorted(samples, key=lambda sample: sample.path)]


def test_numbered_blocks_give_way_to_a_table(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"images/{block}/{block}{n}.png" for block in ("00", "01", "02") for n in range(2)))
    rows = [f"{block}{n}.png,{SEXES[n]}" for block in ("00", "01", "02") for n in range(2)]
    (root / "people.csv").write_text("\n".join(["file,sex", *rows]))
    assert {sample.labels["sex"] for sample in listing(root)} == set(SEXES)


@pytest.mark.parametrize(
    "blocks", [("fold_1", "fold_2"), ("2021-05-03", "2021-06-01"), ("00000", "01000"), ("part1", "part2")]
)
def test_classes_below_storage_blocks(make_folder: MakeFolder, blocks: tuple[str, ...]) -> None:
    root = make_folder(*(f"{block}/{sex}/{n}.png" for block in blocks for sex in SEXES for n in range(2)))
    source = opened(root)
    assert {sample.labels["label"] for sample in source.samples()} == set(SEXES)
    assert "storage blocks" in " ".join(source.notes)
    forced = labels_of(listing(root, labels=("label",)))
    assert {labels["label"] for labels in forced.values()} == set(blocks)


def test_folders_of_hashes_are_no_classes(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{number:02x}/{number}.png" for number in range(20)))
    assert opened(root).labels == ()


def test_folders_below_the_classes_are_mentioned(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{age}/{sex}/{age}{sex}.png" for age in ("old", "young") for sex in SEXES))
    assert "(man, woman) are not used" in " ".join(opened(root).notes)


def test_splits_inside_of_class_folders(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{sex}/{split}/{n}.png" for sex in SEXES for split in ("train", "Test") for n in range(2)))
    samples = listing(root)
    assert {sample.labels["label"] for sample in samples} == set(SEXES)
    assert {sample.path.split("/")[1]: sample.split for sample in samples} == {"train": "train", "Test": "holdout"}


def test_lists_of_names_give_the_official_split(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{sex}/{n}.png" for sex in SEXES for n in range(3)))
    (root / "train.txt").write_text("\n".join(f"{sex}/{n}.png" for sex in SEXES for n in (0, 1)))
    (root / "test.txt").write_text("\n".join(f"{sex}/2.png" for sex in SEXES))
    source = opened(root)
    assert all(sample.split == ("holdout" if "2.png" in sample.path else "train") for sample in source.samples())
    assert "lists test.txt, train.txt" in " ".join(source.notes)
    before = source.stamps()
    (root / "test.txt").write_text("man/2.png\nwoman/1.png")
    assert opened(root).stamps() != before


def test_a_list_of_held_out_images_alone_leaves_the_rest_for_training(make_folder: MakeFolder) -> None:
    root = make_folder("a/1.png", "a/2.png", "b/3.png")
    (root / "testing_list.txt").write_text("a/2.png\n")
    assert {sample.path: sample.split for sample in listing(root)} == {
        "a/1.png": "train",
        "a/2.png": "holdout",
        "b/3.png": "train",
    }
    (root / "testing_list.txt").write_text("nobody.png\nno one.png\nneither.png")
    assert {sample.split for sample in listing(root)} == {None}


def test_tables_called_like_splits_give_labels_and_splits(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"images/{n}.png" for n in range(4)))
    (root / "train.csv").write_text("sex,image\nman,0.png\nwoman,1.png")
    (root / "test.csv").write_text("sex,image\nman,2.png\nwoman,3.png")
    samples = listing(root)
    assert [sample.split for sample in samples] == ["train", "train", "holdout", "holdout"]
    assert {sample.labels["sex"] for sample in samples} == set(SEXES)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("fairface_label_train.csv", "train"),
        ("lists/valList.txt", "holdout"),
        ("train_test.csv", None),
        ("labels.csv", None),
    ],
)
def test_splits_in_names_of_files(name: str, split: str | None) -> None:
    assert split_of_file(name) == split


def test_masks_beside_their_images_are_left_out(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "1_mask.png", "2.png", "2_mask.png")
    source = opened(root)
    assert [sample.path for sample in source.samples()] == ["1.png", "2.png"]
    assert "like masks" in " ".join(source.notes)
    assert len(listing(make_folder("1.png", "1_mask.png", "2.png", "3.png", "4_mask.png", name="people"))) == 5


def test_tables_made_on_another_machine(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{sex}/{n}.png" for sex in SEXES for n in range(2)))
    paths = [f"{sex}/{n}.png" for sex in SEXES for n in range(2)]
    for start in ("/home/someone/data/", "C:/data/faces/", "https://example.org/"):
        rows = [f"{start}{path}{'?size=1' if '://' in start else ''},m{n}" for n, path in enumerate(paths)]
        (root / "labels.csv").write_text("\n".join(["path,mood", *rows]))
        assert moods(listing(root)) == ["m0", "m1", "m2", "m3"], start


def test_records_in_an_object_and_names_in_objects(make_folder: MakeFolder) -> None:
    root = make_folder("img/1.png", "img/2.png")
    rows = [{"image": {"path": f"img/{n}.png", "width": 8}, "label": {"mood": f"m{n}"}} for n in (1, 2)]
    (root / "labels.json").write_text(json.dumps({"version": 1, "data": rows}))
    assert moods(listing(root)) == ["m1", "m2"]


def test_made_up_labels_of_competitions_are_not_used(make_folder: MakeFolder) -> None:
    root = make_folder("train/1.png", "train/2.png", "test/3.png")
    (root / "train.csv").write_text("id,sex\n1,man\n2,woman")
    (root / "sample_submission.csv").write_text("id,sex\n3,man")
    assert labels_of(listing(root)) == {"train/1.png": {"sex": "man"}, "train/2.png": {"sex": "woman"}}
    assert "the images of test/ have no labels, so they are left out (1)" in opened(root).notes


def test_columns_of_persons_are_no_labels(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{n}.png" for n in range(4)))
    rows = [f"{n}.png,s{n // 2},{SEXES[n % 2]}" for n in range(4)]
    (root / "labels.csv").write_text("\n".join(["file,subject_id,sex", *rows]))
    source = opened(root)
    assert source.labels == ("sex",)
    assert "ingest.group=subject_id" in " ".join(source.notes)
    assert [sample.group for sample in listing(root, group="subject_id")] == ["s0", "s0", "s1", "s1"]


def test_decimal_commas_are_numbers(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{n}.png" for n in range(4)))
    (root / "labels.csv").write_text("file;height\n" + "\n".join(f"{n}.png;1,{70 + n}" for n in range(4)))
    samples = listing(root, labels=("height",), bins="height:1.5,1.72")
    assert [sample.labels["height"] for sample in samples][:2] == [samples[0].labels["height"]] * 2
    assert samples[0].labels != samples[3].labels


def test_backslashes_in_a_zip_that_also_has_slashes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("notes/readme.md", "hello")
        for sex in SEXES:
            archive.writestr(f"faces\\{sex}\\1.png", picture())
        archive.writestr("faces\\..\\..\\out.png", picture())
    samples = listing(tmp_path / "faces.zip")
    assert [sample.labels.get("label") for sample in samples if not sample.problem] == list(SEXES)
    assert len(problems_of(samples)) == 1


@pytest.mark.parametrize("unlabelled", ["test/{}.png", "test/test/{}.png", "test/images/{}.png", "test/unknown/{}.png"])
def test_test_images_without_classes_are_left_out(make_folder: MakeFolder, unlabelled: str) -> None:
    wrapper = "train/" if unlabelled.count("test") == 2 else ""
    paths = [f"train/{wrapper}{sex}/{n}.png" for sex in SEXES for n in range(2)]
    root = make_folder(*paths, *(unlabelled.format(n) for n in range(3)))
    source = opened(root)
    assert {sample.path: sample.labels["label"] for sample in source.samples()} == {
        path: path.split("/")[-2] for path in paths
    }
    assert "the images of test/ have no labels, so they are left out (3)" in source.notes
    assert len(listing(root, labels=())) == len(paths) + 3


def test_a_labelled_validation_split_stays_where_test_images_have_no_labels(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{split}/{sex}/{split}.png" for sex in SEXES for split in ("train", "val")), "test/1.png")
    assert {sample.path.split("/")[0]: sample.split for sample in listing(root)} == {"train": "train", "val": "holdout"}


def test_test_images_in_a_table_without_labels_are_left_out(make_folder: MakeFolder) -> None:
    root = make_folder("train/1.png", "train/2.png", "test/3.png")
    (root / "train.csv").write_text("id,sex,site\n1,man,a\n2,woman,b")
    (root / "test.csv").write_text("id,site\n3,a")
    samples = listing(root, labels=("sex",))
    assert labels_of(samples) == {"train/1.png": {"sex": "man"}, "train/2.png": {"sex": "woman"}}


def test_captions_beside_images_are_no_labels(make_folder: MakeFolder) -> None:
    flat = make_folder(*(f"{n}.png" for n in range(30)), name="flat")
    classes = make_folder(*(f"{sex}/{n}.png" for sex in SEXES for n in range(20)), name="classes")
    for folder, places in ((flat, ("",)), (classes, ("man/", "woman/"))):
        for place in places:
            for n in range(20):
                (folder / f"{place}{n}.txt").write_text(f"a photo of {place} {n}")
    assert opened(flat).labels == ()
    assert "they identify single images: text (20 values)" in " ".join(opened(flat).notes)
    assert {sample.labels["label"] for sample in listing(classes)} == set(SEXES)


def test_json_in_a_folder_of_its_own(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"images/0000{n}.png" for n in range(4)))
    (root / "json").mkdir()
    for n in range(4):
        face = {"faceId": f"id{n}", "faceAttributes": {"gender": SEXES[n % 2], "emotion": {"anger": 0.1 * n}}}
        (root / "json" / f"0000{n}.json").write_text(json.dumps([face]))
    assert [sample.labels["gender"] for sample in listing(root, labels=("gender",))] == [*SEXES, *SEXES]


def test_several_images_of_one_webdataset_key(tmp_path: Path) -> None:
    content: dict[str, bytes] = {}
    for n in range(4):
        content |= {f"{n}.input.png": picture(n), f"{n}.mask.png": picture(10 + n), f"{n}.cls": str(n % 2).encode()}
    (tmp_path / "set").mkdir()
    write_tar(tmp_path / "set" / "train-0.tar", content)
    samples = listing(tmp_path / "set")
    assert [(sample.path, sample.labels["label"]) for sample in samples] == [
        (f"train-0/{n}.input.png", str(n % 2)) for n in range(4)
    ]
