from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from faceforge.config import resolve
from faceforge.data.ingest.build import build_image_set
from faceforge.webapp.check_page import VERDICTS, verdict
from faceforge.webapp.pictures import gallery, grid_png, zipped

IMAGES = np.random.default_rng(0).integers(0, 255, (9, 32, 32, 3), np.uint8)


def test_gallery_names_every_image_and_escapes_captions() -> None:
    html = gallery(IMAGES[:2], ["<b>bold</b>", "plain"])
    assert html.count("<img") == 2
    assert "<b>" not in html
    assert "&lt;b&gt;bold" in html
    assert "alt='plain'" in html


def test_the_zip_is_lossless_and_ingest_reads_it(tmp_path: Path) -> None:
    labels = {"mood": ["glad", "sad", "sad"] * 3}
    with zipfile.ZipFile(io.BytesIO(zipped(IMAGES, labels))) as archive:
        archive.extractall(tmp_path / "faces")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "faces" / "00003.png")), IMAGES[3])
    config = resolve("toy", "ingest.holdout=0.4, ingest.min_class=1").ingest
    info = build_image_set(str(tmp_path / "faces"), tmp_path / "set", config).info
    assert info.labels == {"mood": ["glad", "sad"]}
    assert sum(split.total for split in info.counts.values()) == 9


def test_the_same_images_make_the_same_zip() -> None:
    assert zipped(IMAGES, {}) == zipped(IMAGES, {})


def test_the_contact_sheet_holds_all_images() -> None:
    assert Image.open(io.BytesIO(grid_png(IMAGES))).size == (3 * 33 - 1, 3 * 33 - 1)


def test_every_probability_has_a_verdict() -> None:
    assert [verdict(p)[0] for p in (0.0, 0.2, 0.5, 0.7, 1.0)] == [words for _, words, _ in VERDICTS]
