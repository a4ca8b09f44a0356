"""Folders and archives as other programs write them, each with its labels."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.synthesis.formats import write_format
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, picture, problems_of, refuse
from tests.data.sources.test_archives import write_tar, write_zip


def labels(root: Path, **fields: Any) -> dict[str, dict[str, str | None]]:
    samples = listing(root, **fields)
    assert problems_of(samples) == {}
    return labels_of(samples)


BLOCKS = [f"0000{block}/img{block}{n}.png" for block in range(3) for n in range(4)]


@pytest.mark.parametrize("zipped", [True, False])
def test_stylegan(tmp_path: Path, zipped: bool) -> None:
    content = {path: picture(n) for n, path in enumerate(BLOCKS)}
    classes = [[path, n % 2] for n, path in enumerate(BLOCKS)]
    for name, dataset, expected in (
        ("labelled", {"labels": classes}, {path: {"label": str(code)} for path, code in classes}),
        ("unlabelled", {"labels": None}, {path: {} for path in BLOCKS}),
    ):
        content["dataset.json"] = json.dumps(dataset).encode()
        root = write_zip(tmp_path / f"{name}.zip", content)
        if not zipped:
            with zipfile.ZipFile(root) as archive:
                archive.extractall(tmp_path / name)
            root = tmp_path / name
        assert labels(root) == expected


def test_numbered_blocks_are_no_classes_unless_asked_for(make_folder: MakeFolder) -> None:
    root = make_folder(*BLOCKS[:-1])
    assert labels(root) == {path: {} for path in BLOCKS[:-1]}
    assert opened(root).notes[0].startswith("folders 00000, 00001, 00002 seem to be storage blocks")
    assert opened(root, labels=("label",)).labels == ("label",)
    assert opened(make_folder("part1/1.png", "part2/2.png", name="parts")).labels == ()
    assert opened(make_folder("0/1.png", "1/2.png", "1/3.png", name="digits")).labels == ("label",)


def test_masks_beside_images_are_no_class(make_folder: MakeFolder) -> None:
    root = make_folder("images/1.png", "images/2.png", "masks/1.png", "masks/2_mask.png")
    assert labels(root) == {"images/1.png": {}, "images/2.png": {}}
    assert opened(root).notes == ("masks/ holds masks of the images, which are left out (2)",)
    worn = make_folder("mask/1.png", "no_mask/1.png", name="worn")  # classes of people who wear one
    assert labels(worn) == {"mask/1.png": {"label": "mask"}, "no_mask/1.png": {"label": "no_mask"}}


def test_folders_of_columns(make_folder: MakeFolder) -> None:
    root = make_folder("split=train/mood=glad/1.png", "split=test/mood=sad/2.png", "split=train/mood=sad/3.png")
    assert {sample.path: (sample.labels, sample.split) for sample in listing(root)} == {
        "split=train/mood=glad/1.png": ({"mood": "glad"}, "train"),
        "split=test/mood=sad/2.png": ({"mood": "sad"}, "holdout"),
        "split=train/mood=sad/3.png": ({"mood": "sad"}, "train"),
    }


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN", ".thumbnails", ".Trashes"])
def test_folders_of_systems_are_passed_over(make_folder: MakeFolder, folder: str) -> None:
    root = make_folder("a/1.png", "b/2.png", f"a/{folder}/1.png/thumb.png", f"{folder}/3.png")
    assert set(labels(root)) == {"a/1.png", "b/2.png"}


def test_backslashes_in_zip_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for n in range(4):
            entry = zipfile.ZipInfo("x")
            entry.filename = f"{'ab'[n % 2]}\\{n}.png"
            archive.writestr(entry, picture(n))
    assert labels(tmp_path / "a.zip") == {f"{'ab'[n % 2]}/{n}.png": {"label": "ab"[n % 2]} for n in range(4)}


def test_archives_inside_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    inner = write_zip(tmp_path / "folder" / "images.zip", {"1.png": picture(1)})
    refuse(r"holds no images but archives .images.zip.; unpack them", tmp_path / "folder")
    refuse("archives .images.zip.", write_zip(tmp_path / "outer.zip", {"images.zip": inner.read_bytes()}))


def test_git_lfs_pointers_are_recognised(make_folder: MakeFolder, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    root = make_folder("1.png", "2.png")
    (root / "1.png").write_bytes(pointer)
    with pytest.raises(OSError, match="git lfs pull"):
        listing(root)[0].read()
    (tmp_path / "a.zip").write_bytes(pointer)
    refuse("a Git LFS pointer instead of the file; run `git lfs pull`", tmp_path / "a.zip")
    (root / "labels.csv").write_bytes(pointer)
    refuse("labels.csv cannot be read: a Git LFS pointer", root)


def test_webdataset(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for shard, name in enumerate(("train-000000", "test-000000")):
        content: dict[str, bytes] = {}
        for n in range(3):
            content[f"{shard}{n}.jpg"] = picture(10 * shard + n)
            content[f"{shard}{n}.cls"] = str(n % 2).encode()
        write_tar(tmp_path / "set" / f"{name}.tar", content)
    samples = listing(tmp_path / "set")
    assert [(s.path, s.labels["label"], s.split) for s in samples] == [
        *((f"test-000000/1{n}.jpg", str(n % 2), "holdout") for n in range(3)),
        *((f"train-000000/0{n}.jpg", str(n % 2), "train") for n in range(3)),
    ]
    assert [sample.read() for sample in samples] == [picture(n) for n in (10, 11, 12, 0, 1, 2)]


def test_labels_in_json_beside_images_of_a_compressed_tar(tmp_path: Path) -> None:
    content = {f"{n}.png": picture(n) for n in range(4)}
    content |= {f"{n}.json": json.dumps({"mood": "ab"[n % 2], "width": 8}).encode() for n in range(4)}
    assert labels(write_tar(tmp_path / "a.tar.gz", content, "w:gz")) == {
        f"{n}.png": {"mood": "ab"[n % 2]} for n in range(4)
    }


@pytest.mark.parametrize("form", ["folder", "webdataset", "coco", "tfds"])
def test_what_generate_writes_is_read_again(tmp_path: Path, form: Any) -> None:
    images, codes = draw_toyfaces(12)
    made = write_image_set(
        tmp_path / "set",
        {"train": (images, codes), "holdout": (images[:2], codes[:2])},
        {COLUMN: list(EXPRESSIONS)},
    )
    write_format(made, form, tmp_path / form)
    samples = listing(tmp_path / form)
    ordered = sorted(samples, key=lambda sample: sample.path.rpartition("/")[2].zfill(12))
    assert [sample.labels for sample in ordered] == [record.labels for record in made.records("train")]
    if form != "folder":
        assert opened(tmp_path / form).vocabularies in ({}, {COLUMN: list(EXPRESSIONS)})


@pytest.mark.parametrize("form", ["folder", "webdataset", "coco"])
def test_what_generate_writes_without_labels_is_read_again(tmp_path: Path, form: Any) -> None:
    images, _ = draw_toyfaces(6)
    none = np.zeros((6, 0), np.int32)
    made = write_image_set(tmp_path / "set", {"train": (images, none), "holdout": (images[:2], none[:2])}, {})
    write_format(made, form, tmp_path / form)
    assert [(sample.labels, sample.problem) for sample in listing(tmp_path / form)] == [({}, "")] * 6


def test_coco(make_folder: MakeFolder) -> None:
    root = make_folder("train/1.png", "train/2.png", "valid/3.png")
    for split, numbers in (("train", (1, 2)), ("valid", (3,))):
        data = {
            "images": [{"id": n, "file_name": f"{n}.png"} for n in numbers],
            "categories": [{"id": 0, "name": "faces", "supercategory": "none"}]
            + [{"id": k, "name": "xyz"[k], "supercategory": "faces"} for k in (1, 2)],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1 + n % 2, "attributes": {"hat": bool(n % 2)}} for n in numbers
            ],
        }
        (root / split / "_annotations.coco.json").write_text(json.dumps(data))
    assert [(s.path, s.labels, s.split) for s in listing(root)] == [
        ("train/1.png", {"label": "z", "hat": "1"}, "train"),
        ("train/2.png", {"label": "y", "hat": "0"}, "train"),
        ("valid/3.png", {"label": "z", "hat": "1"}, "holdout"),
    ]


def test_pascal_voc(make_folder: MakeFolder) -> None:
    root = make_folder("JPEGImages/1.png", "JPEGImages/2.png", "JPEGImages/3.png")
    (root / "Annotations").mkdir()
    for n, names in ((1, ["a", "a"]), (2, ["b"]), (3, ["a", "b"])):
        objects = "".join(f"<object><name>{name}</name></object>" for name in names)
        text = f"<annotation><filename>{n}.png</filename>{objects}</annotation>"
        (root / "Annotations" / f"{n}.xml").write_text(text)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("1\n3\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("2\n")
    assert [(s.labels["label"], s.split) for s in listing(root)] == [("a", "train"), ("b", "holdout"), (None, "train")]
    (root / "Annotations" / "1.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>')
    refuse("1.xml declares XML entities", root)


@pytest.mark.parametrize("names", ["names: [man, woman]", "names:\n  0: man\n  1: woman\n"])
def test_yolo(make_folder: MakeFolder, names: str) -> None:
    root = make_folder(*(f"{split}/images/{n}.png" for split, n in (("train", 1), ("train", 2), ("valid", 3))))
    for split, n in (("train", 1), ("train", 2), ("valid", 3)):
        (root / split / "labels").mkdir(exist_ok=True)
        (root / split / "labels" / f"{n}.txt").write_text(f"{n % 2} 0.5 0.5 0.2 0.2\n{n % 2} 0.1 0.1 0.2 0.2\n")
    (root / "data.yaml").write_text(f"train: ../train/images\n{names}")
    assert [(s.labels["label"], s.split) for s in listing(root)] == [
        ("woman", "train"),
        ("man", "train"),
        ("woman", "holdout"),
    ]


def test_cvat(make_folder: MakeFolder) -> None:
    root = make_folder("images/1.png", "images/2.png")
    images = "".join(
        f'<image id="{n}" name="{n}.png" subset="{split}"><tag label="{label}">'
        f'<attribute name="hat">{n % 2}</attribute></tag></image>'
        for n, label, split in ((1, "a", "Train"), (2, "b", "Validation"))
    )
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{images}</annotations>")
    assert [(s.labels, s.split) for s in listing(root)] == [
        ({"label": "a", "hat": "1"}, "train"),
        ({"label": "b", "hat": "0"}, "holdout"),
    ]


def test_label_studio(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    tasks = [
        {
            "data": {"image": f"/data/upload/1/0123abcd-{n}.png"},
            "annotations": [
                {
                    "result": [
                        {"from_name": "mood", "type": "choices", "value": {"choices": ["glad" if n % 2 else "sad"]}}
                    ]
                }
            ],
        }
        for n in (1, 2)
    ]
    (root / "export.json").write_text(json.dumps(tasks))
    assert labels(root) == {"1.png": {"mood": "glad"}, "2.png": {"mood": "sad"}}
    short = [{"image": f"/data/local-files/?d=x%2F{n}.png", "mood": "ab"[n % 2], "annotation_id": n} for n in (1, 2)]
    (root / "export.json").write_text(json.dumps(short))
    assert labels(root) == {"1.png": {"mood": "b"}, "2.png": {"mood": "a"}}


def test_celebamask_hq(make_folder: MakeFolder) -> None:
    root = make_folder("CelebA-HQ-img/0.jpg", "CelebA-HQ-img/1.jpg", "CelebAMask-HQ-mask-anno/0/00000_hair.png")
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text("2\nMale Smiling\n0.jpg  1 -1\n1.jpg  -1 1\n")
    assert labels(root, labels=("Male", "Smiling")) == {
        "CelebA-HQ-img/0.jpg": {"Male": "1", "Smiling": "0"},
        "CelebA-HQ-img/1.jpg": {"Male": "0", "Smiling": "1"},
    }


def test_a_wrapper_folder_is_no_class(make_folder: MakeFolder) -> None:
    root = make_folder("set/photos/cat/1.png", "set/photos/dog/2.png")
    assert labels(root) == {
        "set/photos/cat/1.png": {"label": "cat"},
        "set/photos/dog/2.png": {"label": "dog"},
    }


def test_label_files_that_are_not_used_are_named(make_folder: MakeFolder) -> None:
    root = make_folder("a/1.png", "b/2.png")
    (root / "people.csv").write_text("name,age\nann,1\nbob,2\n")
    (root / "info.json").write_text('{"version": 1, "licence": "x"}')
    for n in range(5):
        (root / f"{n}.cls").write_text("1")
    (root / "README.txt").write_text("hello")
    used, other = opened(root).notes
    assert used == (
        "not used, although they may hold labels: 5 .cls files (the first: 0.cls); people.csv (2 rows: name, age); "
        "info.json (an object: version, licence)"
    )
    assert other == "skipped: 1 files that are not images (1 .txt)"


def test_a_truncated_shard_is_reported(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("1.png")
        entry.size = 5000
        archive.addfile(entry, io.BytesIO(np.random.default_rng(0).bytes(5000)))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train-000000.tar").write_bytes(buffer.getvalue()[:900])
    refuse("damaged or cut off", tmp_path / "set")
