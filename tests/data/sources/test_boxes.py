"""Boxes of COCO, Pascal VOC and YOLO, as `ingest.crop=box` uses them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from faceforge.data.preprocess.prepare import prepare_image
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import listing, settings


def test_coco_gives_the_largest_box(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    data = {
        "images": [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}],
        "categories": [{"id": 1, "name": "face"}, {"id": 2, "name": "hat"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]},
            {"image_id": 1, "category_id": 1, "bbox": [2, 3, 4.5, 5]},
            {"image_id": 2, "category_id": 2, "bbox": []},
        ],
    }
    (root / "annotations.json").write_text(json.dumps(data))
    assert {sample.path: sample.box for sample in listing(root)} == {"1.png": (2, 3, 4.5, 5), "2.png": None}
    assert [sample.box for sample in listing(root, labels=())] == [(2, 3, 4.5, 5), None]


def test_voc_gives_width_and_height(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>7</ymax></bndbox>"
    for name, mood, inner in (("1", "happy", box), ("2", "sad", "<bndbox><xmin>1</xmin></bndbox>")):
        text = f"<annotation><object><name>{mood}</name>{inner}</object></annotation>"
        (root / f"{name}.xml").write_text(text)
    assert [sample.box for sample in listing(root)] == [(1, 2, 4, 5), None]


@pytest.mark.parametrize("line", ["0 0.5 0.25 0.5 0.5", "0 0.25 0 0.75 0 0.75 0.5 0.25 0.5"])
def test_yolo_gives_shares_of_the_image(make_folder: MakeFolder, line: str) -> None:
    root = make_folder("1.png", "2.png")
    (root / "1.txt").write_text(line)
    (root / "2.txt").write_text("1 0.5 0.5 0.1 0.1\n1 0.5 0.5 1 1")
    (root / "classes.txt").write_text("happy\nsad")
    boxes = [sample.box for sample in listing(root)]
    np.testing.assert_allclose(np.array(boxes, float), np.array([(0.25, 0.0, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0)]))
    pixels = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    config = settings(crop="box", crop_margin=0)
    shares = prepare_image(pixels, config, box=boxes[0]).pixels
    np.testing.assert_array_equal(shares, prepare_image(pixels, config, box=(50, 0, 100, 50)).pixels)
