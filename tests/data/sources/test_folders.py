from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest

from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, problems_of, refuse


def test_sub_folders_are_classes(make_folder: MakeFolder) -> None:
    root = make_folder("cat/1.png", "cat/deep/2.JPG", "dog/3.png", "4.png", ".hidden/5.png", "dog/._6.png")
    (root / "cat" / "notes.txt").write_text("no image")
    samples = listing(root)
    assert [sample.path for sample in samples] == ["4.png", "cat/1.png", "cat/deep/2.JPG", "dog/3.png"]
    assert "beside the class folders" in samples[0].problem
    assert [sample.labels["label"] for sample in samples[1:]] == ["cat", "cat", "dog"]
    assert samples[1].read() == (root / "cat" / "1.png").read_bytes()
    assert pickle.loads(pickle.dumps(samples[1])).read() == samples[1].read()


def test_a_flat_folder_has_no_labels(make_folder: MakeFolder) -> None:
    assert labels_of(listing(make_folder("b.png", "a.png"))) == {"a.png": {}, "b.png": {}}


def test_sub_folders_can_be_ignored(make_folder: MakeFolder) -> None:
    assert labels_of(listing(make_folder("only/1.png", "2.png"), labels=())) == {"2.png": {}, "only/1.png": {}}


def test_folders_called_as_splits_are_official_splits(make_folder: MakeFolder) -> None:
    root = make_folder("train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "valid/dog/4.png", "valid/5.png")
    samples = {sample.path: sample for sample in listing(root)}
    assert {path: (sample.split, sample.labels) for path, sample in samples.items() if not sample.problem} == {
        "train/cat/1.png": ("train", {"label": "cat"}),
        "train/dog/2.png": ("train", {"label": "dog"}),
        "test/cat/3.png": ("holdout", {"label": "cat"}),
        "valid/dog/4.png": ("holdout", {"label": "dog"}),
    }
    assert "beside the class folders" in samples["valid/5.png"].problem


def test_half_of_the_official_splits_is_no_split(make_folder: MakeFolder) -> None:
    source = opened(make_folder("test/cat/1.png", "val/dog/2.png"))
    assert [sample.split for sample in source.samples()] == [None, None]
    assert "of the official holdout split" in source.notes[0]


def test_links_and_oddities_are_told(make_folder: MakeFolder, tmp_path: Path) -> None:
    outside = make_folder("secret.png", name="outside")
    root = make_folder("1.png", "2.png")
    (root / "inside.png").symlink_to(root / "1.png")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "beside.png").symlink_to(tmp_path / "pictures-of-others" / "x.png")
    (root / "nothing.png").symlink_to(root / "gone.png")
    (root / "folder").symlink_to(outside)
    os.mkfifo(root / "pipe.png")
    samples = listing(root)
    assert {path: problem.split(";")[0] for path, problem in problems_of(samples).items()} == {
        "out.png": "a link that leads out of the folder is not followed",
        "beside.png": "a link that leads out of the folder is not followed",
        "nothing.png": "a link to nothing",
        "folder": "a link to a folder is not followed",
        "pipe.png": "not a regular file",
    }
    assert {sample.path: sample for sample in samples}["inside.png"].read() == (root / "1.png").read_bytes()


def test_a_linked_root_is_no_problem(make_folder: MakeFolder, tmp_path: Path) -> None:
    make_folder("1.png", "2.png")
    (tmp_path / "alias").symlink_to(tmp_path / "pictures")
    assert problems_of(listing(tmp_path / "alias")) == {}


def test_what_is_passed_over_is_counted(make_folder: MakeFolder) -> None:
    root = make_folder("cat/1.png", "dog/2.png", "cat/3.jpg")
    (root / "cat" / "3.jpg").rename(root / "cat" / "3.jfif")
    for name in ("4.DOC", "5.doc", "6", ".7.doc"):
        (root / "cat" / name).write_bytes(b"image")
    source = opened(root)
    assert [sample.path for sample in source.samples()] == ["cat/1.png", "cat/3.jfif", "dog/2.png"]
    assert source.notes == ("skipped: 3 files that are not images (2 .doc, 1 without suffix)",)
    refuse("holds no images, but 3 other files", shutil.copytree(root / "cat", root / "x", ignore=_images))


def _images(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(("png", "jfif"))}


def test_more_sub_folders_than_classes_can_be_are_no_classes(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder("ann/1.png", "bob/2.png", "cat/3.png", "4.png")
    monkeypatch.setattr("faceforge.data.sources.classes.MAX_CLASSES", 2)
    refuse("'label' has 3 different values", root, labels=("label",))
    assert [(sample.labels, sample.problem) for sample in listing(root)] == [({}, "")] * 4
    assert opened(root).notes == ("not taken as labels, because they have too many values: label (3)",)


def test_names_that_are_no_text_become_text(make_folder: MakeFolder) -> None:
    root = make_folder("a.png", "line\nbreak.png")
    os.rename(os.fsencode(root / "a.png"), os.fsencode(root) + b"/caf\xe9.png")
    samples = listing(root)
    assert [sample.path for sample in samples] == ["caf\\xe9.png", "line\\nbreak.png"]
    assert all(sample.read() for sample in samples)


def test_a_file_gone_or_grown_since_is_an_error_of_its_own(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder("1.png", "2.png")
    first, second = listing(root)
    (root / "1.png").unlink()
    monkeypatch.setattr("faceforge.data.sources.files.MAX_FILE_BYTES", 10)
    for sample in (first, second):
        with pytest.raises(OSError, match="No such file|more than"):
            sample.read()


def test_stamps_name_the_files_that_change(make_folder: MakeFolder) -> None:
    root = make_folder("a.png", "b.png")
    (root / "labels.csv").write_text("file,mood\na.png,1\nb.png,2\n")
    before, fingerprint = opened(root).stamps(), opened(root).fingerprint()
    assert set(before) == {"a.png", "b.png", "labels.csv"}
    assert opened(root).fingerprint() == fingerprint
    (root / "b.png").write_bytes(b"other")
    after = opened(root).stamps()
    assert {name for name in before if before[name] != after[name]} == {"b.png"}
    assert opened(root).fingerprint() != fingerprint
