from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources.folders import FolderFiles
from tests.data.conftest import noise
from tests.data.sources.conftest import labels_of, listing, opened, problems_of, refuse, settings
from tests.data.sources.test_archives import write_zip

COUNT, LISTED = 24, 30
ATTRIBUTES = ["Bald", "Male", "Smiling"]
POINTS = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


def image(number: int, size: tuple[int, int] = (89, 109)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(number, 40)).resize(size).save(buffer, "JPEG")
    return buffer.getvalue()


def value(number: int, place: int) -> int:
    return 1 if (number + place) % (place + 2) == 0 else -1


def lists() -> dict[str, str]:
    """The lists as they are published, for images 1 to `LISTED`, with their double spaces."""
    numbers = range(1, LISTED + 1)
    values = {n: "".join(f" {value(n, place):2d}" for place in range(3)) for n in numbers}
    marks = " ".join(str(v) for v in (69, 109, 106, 113, 77, 142, 73, 152, 108, 154))
    landmarks = f"{LISTED}\n{POINTS}\n" + "".join(f"{n:06d}.jpg {marks}\n" for n in numbers)
    return {
        "list_attr_celeba.txt": f"{LISTED}\n{' '.join(ATTRIBUTES)} \n"
        + "".join(f"{n:06d}.jpg{values[n]}\n" for n in numbers),
        "list_eval_partition.txt": "".join(f"{n:06d}.jpg {n % 5 // 3 + (n % 5 == 4)}\n" for n in numbers),
        "identity_CelebA.txt": "".join(f"{n:06d}.jpg {n // 3}\n" for n in numbers),
        "list_bbox_celeba.txt": f"{LISTED}\nimage_id x_1 y_1 width height\n"
        + "".join(f"{n:06d}.jpg    {n}  72 221 306\n" for n in numbers),
        "list_landmarks_align_celeba.txt": landmarks,
        "list_landmarks_celeba.txt": landmarks.replace("69 109", "169 209"),
    }


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """The official folders: Anno, Eval, Img."""
    root = tmp_path / "CelebA"
    (root / "Img" / "img_align_celeba").mkdir(parents=True)
    for number in range(1, COUNT + 1):
        (root / "Img" / "img_align_celeba" / f"{number:06d}.jpg").write_bytes(image(number))
    for name, text in lists().items():
        folder = root / ("Eval" if "eval" in name else "Anno")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return root


def only(root: Path, *names: str) -> None:
    for file in root.rglob("*.txt"):
        if file.name not in names:
            file.unlink()


def test_everything_the_lists_say(celeba: Path) -> None:
    source = opened(celeba, labels=("Smiling", "Male"))
    assert (source.count, source.labels) == (LISTED, ("Smiling", "Male"))
    assert source.notes == ("6 groups have images on both sides of the official split, which is kept",)
    samples = listing(celeba, labels=("Smiling", "Male"))
    for number, sample in enumerate(samples[:COUNT], 1):
        assert sample.path == f"Img/img_align_celeba/{number:06d}.jpg"
        assert sample.labels == {
            column: "1" if value(number, ATTRIBUTES.index(column)) == 1 else "0" for column in ("Smiling", "Male")
        }
        assert sample.split == ("train" if number % 5 < 3 else "holdout")
        assert sample.group == str(number // 3)
        assert sample.box is None  # the boxes are those of the original photographs
        assert sample.landmarks is not None
        assert sample.landmarks[:2] == ((34.5, 54.5), (53.0, 56.5))  # at half the published size
    assert [sample.path for sample in samples[COUNT:]] == [f"{n:06d}.jpg" for n in range(COUNT + 1, LISTED + 1)]
    assert all(sample.absent and "file is absent" in sample.problem for sample in samples[COUNT:])


def test_a_part_of_celeba_becomes_an_image_set(celeba: Path, tmp_path: Path) -> None:
    made = build_image_set(str(celeba), tmp_path / "set", settings(labels=("Smiling", "Male"), min_class=1)).info
    assert (made.reject_count, made.labels) == (LISTED - COUNT, {"Smiling": ["0", "1"], "Male": ["0", "1"]})
    assert made.counts["holdout"].total == sum(n % 5 > 2 for n in range(1, COUNT + 1))
    assert made.counts["train"].total == sum(n % 5 < 3 for n in range(1, COUNT + 1))


@pytest.mark.parametrize(
    "there",
    [
        (),
        ("list_attr_celeba.txt",),
        ("list_eval_partition.txt",),
        ("identity_CelebA.txt", "list_landmarks_align_celeba.txt"),
    ],
)
def test_any_list_may_be_missing(celeba: Path, there: tuple[str, ...]) -> None:
    only(celeba, *there)
    labels = ("Male",) if "list_attr_celeba.txt" in there else ()
    samples = [sample for sample in listing(celeba, labels=labels) if not sample.absent]
    assert len(samples) == COUNT
    for sample in samples:
        assert set(sample.labels) == set(labels)
        assert bool(sample.split) == ("list_eval_partition.txt" in there)
        assert bool(sample.group) == ("identity_CelebA.txt" in there)
        assert bool(sample.landmarks) == ("list_landmarks_align_celeba.txt" in there)


def test_without_names_there_are_no_labels_but_a_hint(celeba: Path) -> None:
    source = opened(celeba)
    assert source.labels == ()
    assert source.notes[0] == "ingest.labels can name more columns: Bald, Male, Smiling"
    refuse("names 'Happy'.*it has Bald, Male, Smiling", celeba, labels=("Happy",))
    only(celeba, "identity_CelebA.txt")
    refuse("names 'Male'", celeba, labels=("Male",))


def test_a_wrong_count_and_broken_rows_are_noted_not_fatal(celeba: Path) -> None:
    file = celeba / "Anno" / "list_attr_celeba.txt"
    lines = file.read_text().splitlines()
    lines[0], lines[4], lines[6] = "202599", "000003.jpg  1 -1", "000005.jpg  1  7 -1"
    del lines[5]  # of image 4
    file.write_text("\n".join([*lines, "000006.jpg  1  1  1"]))
    source = opened(celeba, labels=("Male",))
    assert source.notes[:3] == (
        "list_attr_celeba.txt: its first line says 202,599 images, but it lists 30",
        "list_attr_celeba.txt: 1 rows have too few or too many values",
        "list_attr_celeba.txt: 1 images are listed more than once; the last row counts",
    )
    found = {sample.path[-10:]: sample for sample in source.samples() if not sample.absent}
    assert {path: sample.problem for path, sample in found.items() if sample.problem} == {
        "000003.jpg": "its row in list_attr_celeba.txt has too few or too many values",
        "000004.jpg": "not listed in list_attr_celeba.txt",
    }
    assert found["000005.jpg"].labels == {"Male": None}  # neither -1 nor 1
    assert found["000006.jpg"].labels == {"Male": "1"}


def test_official_splits_of_one_side_are_no_split(celeba: Path) -> None:
    file = celeba / "Eval" / "list_eval_partition.txt"
    file.write_text("".join(f"{n:06d}.jpg 0\n" for n in range(1, LISTED + 1)))
    source = opened(celeba)
    assert {sample.split for sample in source.samples()} == {None}
    assert "official train split" in source.notes[-1]


def test_original_photographs_have_boxes_and_their_own_landmarks(celeba: Path) -> None:
    (celeba / "Img" / "img_align_celeba").rename(celeba / "Img" / "img_celeba")
    sample = listing(celeba, labels=())[6]
    assert sample.box == (7, 72, 221, 306)
    assert sample.landmarks is not None
    assert sample.landmarks[0] == (169.0, 209.0)


@pytest.mark.parametrize(
    "crop, taken", [("centre", "img_align_celeba"), ("box", "img_celeba"), ("landmarks", "img_celeba")]
)
def test_of_the_same_images_in_several_folders_one_is_taken(celeba: Path, crop: str, taken: str) -> None:
    (celeba / "Img" / "img_celeba").mkdir()
    (celeba / "Img" / "img_align_celeba_png").mkdir()
    for number in range(1, COUNT + 3):
        (celeba / "Img" / "img_celeba" / f"{number:06d}.jpg").write_bytes(image(number, (200, 300)))
        (celeba / "Img" / "img_align_celeba_png" / f"{number:06d}.png").write_bytes(image(number))
    found = listing(celeba, labels=(), crop=crop)
    count = COUNT + 2 if taken == "img_celeba" else COUNT
    assert [s.path for s in found if not s.absent] == [f"Img/{taken}/{n:06d}.jpg" for n in range(1, count + 1)]
    assert sum(sample.absent for sample in found) == LISTED - count
    wild = taken == "img_celeba"
    assert found[6].box == ((7, 72, 221, 306) if wild else None)
    assert found[6].landmarks is not None
    assert found[6].landmarks[0] == ((169.0, 209.0) if wild else (34.5, 54.5))
    assert opened(celeba, labels=(), crop=crop).notes[0].startswith(f"{taken} is used, and not the same images in")


def test_attributes_are_read_once_and_matter_only_where_wanted(celeba: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = celeba / "Anno" / "list_attr_celeba.txt"
    lines = file.read_text().splitlines()
    lines[4] = "000003.jpg  1 -1"
    file.write_text("\n".join(lines))
    reads: list[str] = []
    original = FolderFiles.read

    def counted(self: FolderFiles, path: str) -> bytes:
        reads.append(path)
        return original(self, path)

    monkeypatch.setattr(FolderFiles, "read", counted)
    assert [sample.problem for sample in listing(celeba, labels=()) if not sample.absent] == [""] * COUNT
    assert len(reads) == len(set(reads)) == 4
    assert opened(celeba, labels=("Male",)).notes[0] == "list_attr_celeba.txt: 1 rows have too few or too many values"
    assert "000003.jpg" in "".join(problems_of(opened(celeba, labels=("Male",)).samples(0, COUNT)))


def test_images_of_another_shape_have_no_landmarks(celeba: Path) -> None:
    for number in range(1, COUNT + 1):
        (celeba / "Img" / "img_align_celeba" / f"{number:06d}.jpg").write_bytes(image(number, (64, 64)))
    source = opened(celeba, labels=())
    assert [sample.landmarks for sample in source.samples(0, 2)] == [None, None]
    assert "landmarks are not used" in source.notes[0]


def test_png_images_are_those_of_the_list(celeba: Path) -> None:
    folder = celeba / "Img" / "img_align_celeba"
    folder = folder.rename(folder.with_name("img_align_celeba_png"))
    for file in folder.iterdir():
        file.rename(file.with_suffix(".png"))
    assert sum(not sample.problem for sample in listing(celeba, labels=("Male",))) == COUNT


def as_csv(name: str, text: str) -> str:
    header = {
        "list_eval_partition.txt": "image_id,partition",
        "list_attr_celeba.txt": f"image_id,{','.join(ATTRIBUTES)}",
    }
    lines = [line.split() for line in text.splitlines() if ".jpg" in line]
    return "\n".join([header[name], *(",".join(line) for line in lines)])


@pytest.mark.parametrize("zipped", [True, False])
def test_the_layout_of_kaggle(tmp_path: Path, zipped: bool) -> None:
    content: dict[str, Any] = {f"img_align_celeba/img_align_celeba/{n:06d}.jpg": image(n) for n in range(1, COUNT + 1)}
    for name in ("list_eval_partition.txt", "list_attr_celeba.txt"):
        content[name.replace(".txt", ".csv")] = as_csv(name, lists()[name]).encode()
    source = tmp_path / "archive.zip"
    if zipped:
        write_zip(source, content)
    else:
        source = tmp_path / "archive"
        for name, data in content.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    samples = listing(source, labels=("Smiling",))
    assert len(problems_of(samples)) == LISTED - COUNT
    path = "img_align_celeba/img_align_celeba/000001.jpg"
    assert labels_of(samples)[path] == {"Smiling": "1" if value(1, 2) == 1 else "0"}
    assert {sample.split for sample in samples if not sample.problem} == {"train", "holdout"}


def test_a_limit_is_one_on_images(celeba: Path) -> None:
    samples = listing(celeba, limit=10, labels=())
    assert sum(not sample.absent for sample in samples) == 10
    assert sum(sample.absent for sample in samples) == LISTED - COUNT


def test_lists_that_are_no_text_are_told(celeba: Path) -> None:
    (celeba / "Anno" / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\n\xff")
    refuse("list_attr_celeba.txt cannot be read as UTF-8", celeba)
    (celeba / "Anno" / "list_attr_celeba.txt").write_text("")
    refuse("no line of column names", celeba)
