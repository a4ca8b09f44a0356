from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.ingest.build import build_image_set
from faceforge.data.overview.page import write_overview

pytest.importorskip("matplotlib")
COLOURS = {"red <b>": (200, 30, 30), "blue": (30, 30, 200)}


def test_overview_shows_classes_rejects_and_digest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(40):
            file = tmp_path / "source" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            noisy = np.clip(np.array(colour) + rng.normal(0, 25, (36, 36, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(file)
    (tmp_path / "source" / "blue" / "broken.png").write_bytes(b"none")
    Image.new("RGB", (90, 10)).save(tmp_path / "source" / "blue" / "long.png")
    images = build_image_set(
        str(tmp_path / "source"), tmp_path / "set", IngestConfig.model_validate({"image_size": 32, "holdout": 0.3})
    )
    picture, page = write_overview(images, tmp_path / "overview")
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"), int)
    for colour in COLOURS.values():  # a good part of the picture shows images of either class
        assert (np.abs(pixels - colour).max(-1) < 60).mean() > 0.02
    text = page.read_text()
    assert "red &lt;b&gt;" in text
    assert "red <b>" not in text
    assert images.info.digest in text
    assert "aspect ratio … (… x …), above ingest.max_aspect …" in text
    assert "broken.png" in text
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", text)
    before = picture.read_bytes()
    assert write_overview(images, tmp_path / "overview")[0].read_bytes() == before


@pytest.mark.parametrize("channels", [1, 3])
def test_sets_without_labels_or_measures_have_an_overview(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, channels), np.uint8)
    none = np.zeros((7, 0), np.int32)
    images: ImageSet = write_image_set(
        tmp_path / "set", {"train": (pixels, none), "holdout": (pixels[:0], none[:0])}, {}
    )
    picture, page = write_overview(images, tmp_path)
    with Image.open(picture) as opened:
        assert opened.width == 1400
    assert "Classes" not in page.read_text()
