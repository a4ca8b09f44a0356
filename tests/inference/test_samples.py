from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.errors import FaceForgeError
from faceforge.inference.samples import Samples


def some(count: int, size: int = 32, channels: int = 3) -> Samples:
    """Every image has a grey level of its own, modulo 200."""
    images = np.empty((count, size, size, channels), np.uint8)
    images[:] = (np.arange(count) % 200)[:, None, None, None]
    labels = {"mood": [("happy", 'sad, "very"')[row % 2] for row in range(count)]}
    return Samples(images, labels, np.zeros((count, 4), np.float32))


def test_one_line_says_what_the_samples_are() -> None:
    assert repr(some(5)) == '<5 samples of 32 x 32 px, RGB; mood: happy 3, sad, "very" 2>'
    assert repr(Samples(np.zeros((0, 64, 64, 1), np.uint8), {})) == "<0 samples of 64 x 64 px, grey>"


@pytest.mark.parametrize("name", ["faces.png", "deep/er/faces.PNG"])
def test_one_file_is_a_contact_sheet(tmp_path: Path, name: str) -> None:
    path = some(5).save(tmp_path / name)
    assert path == tmp_path / name
    with Image.open(path) as image:
        sheet = np.asarray(image)
    assert sheet.shape == (2 * 96 + 2, 3 * 96 + 2 * 2, 3)  # three columns, enlarged to 96 px, gaps of 2
    corners = [sheet[row * 98, column * 98, 0] for row in range(2) for column in range(3)]
    assert corners == [0, 1, 2, 3, 4, 255]  # in order; the last cell is empty


def test_grey_images_and_other_formats(tmp_path: Path) -> None:
    for name, kind in (("a.jpg", "JPEG"), ("a.webp", "WEBP")):
        some(3, channels=1).save(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.format == kind
    with pytest.raises(FaceForgeError, match=r"a\.gif: samples are saved as \.png"):
        some(3).save(tmp_path / "a.gif")


def test_a_folder_gets_every_image_and_its_labels(tmp_path: Path) -> None:
    folder = some(3).save(tmp_path / "faces")
    assert sorted(path.name for path in folder.iterdir()) == ["00000.png", "00001.png", "00002.png", "metadata.csv"]
    with Image.open(folder / "00002.png") as image:
        assert (np.asarray(image) == 2).all()
        assert image.size == (32, 32)  # as drawn
    with (folder / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file_name"], row["mood"]) for row in rows[:2]] == [
        ("00000.png", "happy"),
        ("00001.png", 'sad, "very"'),
    ]


def test_a_saved_folder_is_a_source_for_ingest(tmp_path: Path) -> None:
    from faceforge.config import resolve
    from faceforge.data.ingest.build import build_image_set

    rng = np.random.default_rng(0)
    labels = {"mood": [("happy", "sad")[row % 2] for row in range(60)]}
    Samples(rng.integers(0, 256, (60, 32, 32, 3), np.uint8), labels).save(tmp_path / "faces")
    config = resolve("toy", "ingest.near_duplicates=-1, ingest.holdout=0.2").ingest
    images = build_image_set(str(tmp_path / "faces"), tmp_path / "set", config)
    assert images.info.labels == {"mood": ["happy", "sad"]}
    assert sum(count.total for count in images.info.counts.values()) == 60


def test_a_folder_with_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FaceForgeError, match="not an empty folder"):
        some(2).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_sheet_has_a_limit() -> None:
    assert some(1024, size=2).sheet().shape == (32 * 4 - 2, 32 * 4 - 2, 3)
    for count in (0, 1025):
        with pytest.raises(FaceForgeError, match="1 to 1,024"):
            some(count, size=2).sheet()


def test_notebooks_show_the_first_64() -> None:
    with Image.open(io.BytesIO(some(100)._repr_png_() or b"")) as image:
        assert image.size == (8 * 98 - 2, 8 * 98 - 2)
    assert some(0)._repr_png_() is None


def test_show_opens_a_viewer_outside_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Image.Image] = []
    monkeypatch.setattr(Image.Image, "show", lambda image: opened.append(image))
    some(100).show()
    some(0).show()
    assert [image.size for image in opened] == [(8 * 98 - 2, 8 * 98 - 2)]
