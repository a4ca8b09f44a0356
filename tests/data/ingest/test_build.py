from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data import pixels
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest import build
from faceforge.data.ingest.build import build_image_set
from faceforge.data.ingest.summary import summary
from faceforge.errors import FaceForgeError
from tests.data.conftest import MakeFolder, noise


def settings(**fields: Any) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, "holdout": 0.3, **fields})


def splits_of(made: ImageSet) -> dict[str, str]:
    return {record.path: split for split in ("train", "holdout") for record in made.records(split)}


def total(made: ImageSet) -> int:
    return sum(counts.total for counts in made.info.counts.values())


def test_a_labelled_folder_becomes_an_image_set(classes_folder: Path, tmp_path: Path) -> None:
    made = build_image_set(str(classes_folder), tmp_path / "set", settings())
    info = ImageSet.open(tmp_path / "set").info
    assert info == made.info
    assert (info.source, info.image_size, info.channels) == ("pictures", 32, 3)
    assert info.labels == {"label": ["cat", "dog"]}
    assert total(made) == 30
    assert sum(counts.classes["label"]["dog"] for counts in info.counts.values()) == 15
    for record in [*made.records("train"), *made.records("holdout")]:
        assert record.labels["label"] == record.path.split("/")[0]
        assert pixels.pixel_digest(pixels.from_bytes(record.image, 3)) == record.sha256


def test_greyscale(classes_folder: Path, tmp_path: Path) -> None:
    images, _ = build_image_set(str(classes_folder), tmp_path / "set", settings(channels=1)).load("train")
    assert images.shape[1:] == (32, 32, 1)


def test_the_result_does_not_depend_on_the_number_of_workers(
    classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for count in (1, 5):
        monkeypatch.setattr(pixels, "workers", lambda count=count: count)
        made = build_image_set(str(classes_folder), tmp_path / "set", settings())
        rows.append((made.info, list(made.records("train"))))
    assert rows[0] == rows[1]


def test_duplicates_are_left_out_and_listed(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number}.png" for number in range(20)))
    Image.fromarray(noise(3)).save(root / "other-format.bmp")  # the same pixels in another file
    info = build_image_set(str(root), tmp_path / "set", settings()).info
    assert info.duplicate_count == 1
    assert (info.duplicates[0].path, info.duplicates[0].of) == ("other-format.bmp", "3.png")
    assert sum(counts.total for counts in info.counts.values()) == 20


def test_equal_images_with_different_labels_are_all_left_out(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{kind}/{kind}{n}.png" for kind in "ab" for n in range(20)))
    for name, twin in {"b/copy.png": "a/a1.png", "b/same.png": "b/b2.png", "a/third.png": "a/a1.png"}.items():
        (root / name).write_bytes((root / twin).read_bytes())
    info = build_image_set(str(root), tmp_path / "set", settings()).info
    assert {reject.path: reject.reason for reject in info.rejects} == {
        "a/a1.png": "b/copy.png has the same pixels but other labels",
        "b/copy.png": "a/a1.png has the same pixels but other labels",
        "a/third.png": "b/copy.png has the same pixels but other labels",
    }
    assert [(one.path, one.of) for one in info.duplicates] == [("b/same.png", "b/b2.png")]
    assert sum(counts.total for counts in info.counts.values()) == 39
    assert "3 images are left out: others have the same pixels but different labels" in info.notes


def test_of_equal_images_in_both_splits_the_one_in_the_holdout_is_kept(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(
        *(f"{split}/{kind}/{n}.png" for split in ("train", "validation") for kind in "ab" for n in range(5))
    )
    (root / "train" / "b" / "new.png").write_bytes((root / "validation" / "b" / "3.png").read_bytes())
    (root / "validation" / "b" / "x.png").write_bytes((root / "validation" / "b" / "4.png").read_bytes())
    made = build_image_set(str(root), tmp_path / "set", settings())
    assert {split: counts.total for split, counts in made.info.counts.items()} == {"train": 10, "holdout": 10}
    assert [(one.path, one.of) for one in made.info.duplicates] == [
        ("train/b/new.png", "validation/b/3.png"),
        ("validation/b/x.png", "validation/b/4.png"),
    ]


def test_an_image_stays_in_its_split_when_the_set_grows(make_folder: MakeFolder, tmp_path: Path) -> None:
    few = splits_of(build_image_set(str(make_folder(*(f"{n}.png" for n in range(30)))), tmp_path / "a", settings()))
    root = make_folder(*(f"more/{n}.png" for n in range(30)), first_seed=100)
    many = splits_of(build_image_set(str(root), tmp_path / "b", settings(labels=())))
    assert len(many) == 60
    assert few.items() <= many.items()
    assert set(few.values()) == {"train", "holdout"}


def test_broken_files_are_listed_not_fatal(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number}.png" for number in range(30)))
    (root / "letter.jpg").write_text("Dear Sir or Madam")
    (root / "half.png").write_bytes((root / "1.png").read_bytes()[:700])
    made = build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.1))
    assert {reject.path: reject.reason.split(":")[0].split(",")[0] for reject in made.info.rejects} == {
        "letter.jpg": "not an image",
        "half.png": "damaged",
    }
    assert total(made) == 30


def test_too_many_broken_files_are_fatal(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number}.png" for number in range(18)))
    for number in range(2):
        (root / f"letter{number}.jpg").write_text("Dear Sir or Madam")
    with pytest.raises(
        FaceForgeError, match=r"more than 5% of the images .*letter0.jpg, letter1.jpg: not an image"
    ) as caught:
        build_image_set(str(root), tmp_path / "set", settings())
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [root]  # nothing half-written
    assert build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.1)).info.reject_count == 2


def test_absent_images_do_not_raise_the_limit_of_broken_ones(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number:06d}.jpg" for number in range(1, 19)))
    for number in (19, 20):
        (root / f"{number:06d}.jpg").write_text("Dear Sir or Madam")
    listed = [f"{number:06d}.jpg {number}" for number in range(1, 101)]
    (root / "identity_CelebA.txt").write_text("\n".join(listed) + "\n")
    with pytest.raises(FaceForgeError, match="more than 5% of the images"):
        build_image_set(str(root), tmp_path / "set", settings())
    made = build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.1))
    assert (total(made), made.info.reject_count) == (18, 82)


def test_a_folder_of_text_files_named_jpg_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "texts"
    root.mkdir()
    for number in range(3):
        (root / f"{number}.jpg").write_text("text")
    for share in (0.05, 1.0):
        with pytest.raises(FaceForgeError, match="not an image"):
            build_image_set(str(root), tmp_path / "set", settings(max_rejects=share))
    assert not (tmp_path / "set").exists()


def test_images_without_a_label_are_rejected(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number}.png" for number in range(30)))
    rows = [f"{number}.png,{'' if number == 7 else number % 2}" for number in range(29)]
    (root / "labels.csv").write_text("\n".join(["file_name,odd", *rows, "gone.png,1"]))
    info = build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.2)).info
    reasons = {reject.path: reject.reason for reject in info.rejects}
    assert reasons == {
        "7.png": "no value for label 'odd'",
        "29.png": "not listed in labels.csv",
        "gone.png": "listed in labels.csv, but the file is absent",
    }


def test_a_class_without_usable_images_is_reported(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"good/{number}.png" for number in range(30)))
    (root / "bad").mkdir()
    (root / "bad" / "x.jpg").write_text("text")
    with pytest.raises(FaceForgeError, match="fewer than two classes of 'label'"):
        build_image_set(str(root), tmp_path / "set", settings())
    assert not (tmp_path / "set").exists()


def test_a_set_too_small_to_split_is_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match=r"none of the 1 images is in the (train|holdout) split"):
        build_image_set(str(make_folder("1.png")), tmp_path / "set", settings())


def test_an_image_set_keeps_its_splits_and_class_order(tmp_path: Path) -> None:
    first = build_image_set("toyfaces", tmp_path / "a", settings(limit=60))
    again = build_image_set(str(tmp_path / "a"), tmp_path / "b", settings(image_size=64))
    assert again.info.image_size == 64
    assert again.info.labels == {"expression": ["neutral", "smiling", "glasses"]}
    assert splits_of(again) == splits_of(first)


def test_classes_without_images_are_dropped(tmp_path: Path) -> None:
    made = build_image_set("toyfaces:glasses=1,neutral=1", tmp_path / "set", settings(limit=40))
    assert made.info.labels == {"expression": ["neutral", "glasses"]}


def test_an_old_set_is_replaced_only_by_a_whole_new_one(
    classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = build_image_set("toyfaces", tmp_path / "set", settings(limit=40)).info

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(build, "check_selection", fail)
        with pytest.raises(RuntimeError):
            build_image_set(str(classes_folder), tmp_path / "set", settings())
    assert ImageSet.open(tmp_path / "set").info == old
    assert build_image_set(str(classes_folder), tmp_path / "set", settings()).info.source == "pictures"
    assert {path.name for path in tmp_path.iterdir()} == {"set", "pictures"}


def test_foreign_folders_and_the_source_are_not_overwritten(classes_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="holds files"):
        build_image_set(str(classes_folder), classes_folder, settings())
    made = build_image_set("toyfaces", tmp_path / "set", settings(limit=40))
    with pytest.raises(FaceForgeError, match="is the source itself"):
        build_image_set(str(made.root), made.root, settings())
    assert len(list(classes_folder.rglob("*.png"))) == 30
    assert ImageSet.open(made.root).info == made.info


def test_an_output_that_cannot_be_replaced_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for out in (tmp_path / "link", Path("/proc"), Path(), Path("..")):
        with pytest.raises(FaceForgeError, match="name another folder"):
            build_image_set("toyfaces", out, settings(limit=40))


def test_an_output_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FaceForgeError, match="cannot write the image set"):
        build_image_set("toyfaces", tmp_path / "file" / "set", settings(limit=40))


def test_toyfaces_are_the_same_every_time(tmp_path: Path) -> None:
    digests = {build_image_set("toyfaces", tmp_path / name, settings(limit=40)).info.digest for name in "ab"}
    assert len(digests) == 1
    images, codes = ImageSet.open(tmp_path / "a").load("train")
    assert images.shape[0] == codes.shape[0]
    assert np.unique(codes).tolist() == [0, 1, 2]


def test_the_holdout_is_enlarged_to_what_evaluation_needs(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number}.png" for number in range(200)))
    info = build_image_set(str(root), tmp_path / "set", settings(holdout=0.05), for_evaluation=True).info
    assert {split: counts.total for split, counts in info.counts.items()} == {"train": 136, "holdout": 64}
    assert re.fullmatch(
        r"the holdout has \d\d% of the images instead of 5%: evaluation needs at least 64 images in it", info.notes[0]
    )


def test_too_few_images_for_evaluation_are_refused_before_any_is_read(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(*(f"{number}.png" for number in range(30)))
    (root / "notes.txt").write_text("")
    monkeypatch.setattr(build, "prepare_parts", None)
    message = r"30 images are too few: training and evaluation need 64 each, so add at least 98; .*notes\.txt"
    with pytest.raises(FaceForgeError, match=message):
        build_image_set(str(root), tmp_path / "set", settings(), for_evaluation=True)


def test_an_official_holdout_too_small_for_evaluation_is_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(
        *(f"train/{number}.png" for number in range(100)), *(f"test/{number}.png" for number in range(30))
    )
    with pytest.raises(FaceForgeError, match="30 images in the holdout split are too few .* at least 64 are needed"):
        build_image_set(str(root), tmp_path / "set", settings(), for_evaluation=True)
    info = build_image_set(str(root), tmp_path / "set", settings()).info
    assert info.notes[-1].startswith("100 images in the train split and 30 images in the holdout split are too few")


def test_the_summary_reports_notes_and_rejects(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(15)))
    (root / "readme.txt").write_text("")
    for number in range(5):
        (root / "cat" / f"z{number}.jpg").write_text("no")
    info = build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.5)).info
    first, *rest = summary(info).splitlines()
    assert re.fullmatch(r"pictures: train \d+ · holdout \d+ · 5 rejected · 0 duplicates", first)
    assert "  note: skipped: 1 files that are not images (1 .txt)" in rest
    (rejected,) = (line for line in rest if line.startswith("  rejected, not an image"))
    assert rejected.endswith("PPM: cat/z0.jpg, cat/z1.jpg, cat/z2.jpg and 2 more")
    assert rest[-1] == "  label: cat, dog"
