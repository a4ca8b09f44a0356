from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.preprocess.crop import (
    Region,
    align_to_landmarks,
    crop_and_resize,
    crop_region,
    square_around_box,
)
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.data.sources.toyfaces import draw_toyfaces


def settings(**fields: object) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, **fields})


def test_the_usual_crops_of_celeba() -> None:
    """Of 178 x 218 pixels: 108 from (35, 55), 148 from (15, 35), and the whole width."""
    for size, left, top, edge in ((108, 35, 55, 108), (148, 15, 35, 148), (0, 0, 20, 178)):
        region = crop_region((178, 218), settings(crop_size=size), None, None)
        assert region == Region(left + edge / 2, top + edge / 2, edge)


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(RejectedError, match=r"too small \(89 x 109\) for ingest.crop_size 108"):
        crop_region((89, 109), settings(crop_size=108), None, None)


def test_a_box_is_made_square_and_moved_into_the_picture() -> None:
    assert square_around_box((40, 30, 20, 10), (100, 100), 0.25) == Region(50, 35, 30)
    assert square_around_box((0, 0, 20, 20), (100, 100), 0.25) == Region(15, 15, 30)
    assert square_around_box((80, 90, 30, 20), (100, 110), 0.0) == Region(85, 95, 30)
    assert square_around_box((10, 10, 80, 90), (100, 100), 1.0) == Region(50, 50, 100)  # no more than there is


@pytest.mark.parametrize("box", [(5, 5, 0, 9), (200, 5, 10, 10), (-50, 5, 10, 10)])
def test_impossible_boxes_are_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(RejectedError, match=r"the box .* is outside the image \(100 x 100\)"):
        square_around_box(box, (100, 100), 0.1)


FACE = [(0.342, 0.462), (0.657, 0.460), (0.500, 0.641), (0.371, 0.825), (0.632, 0.823)]


def placed(x: float, y: float, edge: float, angle: float) -> tuple[tuple[float, float], ...]:
    """The landmarks of a face of that size and turn, centred there."""
    turn = edge * complex(math.cos(angle), math.sin(angle))
    points = [complex(x, y) + turn * (complex(*point) - (0.5 + 0.5j)) for point in FACE]
    return tuple((point.real, point.imag) for point in points)


def test_alignment_finds_place_size_and_turn() -> None:
    for count in (5, 2):
        region = align_to_landmarks(placed(120, 90, 60, 0.3)[:count], (300, 200), margin=0.5)
        np.testing.assert_allclose(region, (120, 90, 120, 0.3), atol=0.3)


def test_alignment_spreads_errors_of_single_landmarks() -> None:
    points = [*placed(100, 100, 80, 0.0)]
    points[2] = (points[2][0] + 8, points[2][1])
    region = align_to_landmarks(points, (200, 200), margin=0.0)
    assert abs(region.x - 100) < 3
    assert abs(region.edge - 80) < 3


@pytest.mark.parametrize(
    "landmarks, reason",
    [
        (((5.0, 5.0),) * 5, "in one place"),
        (((5.0, 5.0),) * 3, "it has 3 landmarks"),
        (placed(-90, 40, 60, 0), "outside the image"),
    ],
)
def test_impossible_landmarks_are_refused(landmarks: tuple[tuple[float, float], ...], reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        align_to_landmarks(landmarks, (100, 100), 0.0)


def test_a_turned_face_comes_out_upright() -> None:
    face = Image.fromarray(draw_toyfaces(4, image_size=128)[0][3])
    canvas = Image.new("RGB", (300, 300), "grey")
    canvas.paste(face, (86, 86))
    straight = crop_and_resize(canvas, Region(150, 150, 128), 64)
    for angle in (0.4, -2.0):
        turned = canvas.rotate(-math.degrees(angle), Image.Resampling.BICUBIC)  # Pillow turns the other way
        again = crop_and_resize(turned, Region(150, 150, 128, angle), 64)
        difference = np.abs(np.asarray(again, float) - np.asarray(straight, float))[4:-4, 4:-4]
        assert difference.mean() < 4


def test_turning_does_not_alias() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    result = np.asarray(crop_and_resize(Image.fromarray(stripes), Region(128, 128, 180, 0.2), 32), int)
    assert abs(result - 128).max() <= 6


def test_beyond_the_picture_lies_its_reflection() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None], 64, 0)
    result = np.asarray(crop_and_resize(Image.fromarray(ramp), Region(64, 32, 64, 1e-9), 64), int)
    np.testing.assert_allclose(result[:, 32:], result[:, 31::-1], atol=6)


def test_a_tiny_region_of_a_large_picture_stays_cheap() -> None:
    """Enlarging all of it to match would take 40 GB."""
    assert crop_and_resize(Image.new("L", (6000, 6000), 9), Region(3000, 3000, 2, 0.5), 64).shape == (64, 64)


def test_boxes_and_landmarks_are_of_the_upright_full_size_picture() -> None:
    """A large JPEG is decoded at a fraction of its size; what was annotated must be scaled along."""
    picture = np.full((1600, 1200, 3), 255, np.uint8)
    picture[400:1040, 300:940] = (0, 160, 0)
    sideways = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(picture)).save(sideways, "JPEG", quality=95, exif=exif)
    data, exact = sideways.getvalue(), {"crop_margin": 0, "min_contrast": 0}
    boxed = prepare_image(data, settings(crop="box", **exact), (300, 400, 640, 640))
    assert abs(boxed.pixels[1:-1, 1:-1].astype(int) - (0, 160, 0)).max() < 12
    assert (boxed.measures.width, boxed.measures.height) == (1200, 1600)
    marks = placed(620, 720, 600, 0.0)
    turned = prepare_image(data, settings(crop="landmarks", **exact), None, marks)
    assert abs(turned.pixels.astype(int) - (0, 160, 0)).max() < 12


@pytest.mark.parametrize("crop, needed", [("box", "it has no box"), ("landmarks", "it has no landmarks")])
def test_images_without_the_annotation_are_rejected(crop: str, needed: str) -> None:
    with pytest.raises(RejectedError, match=needed):
        crop_region((50, 50), settings(crop=crop), None, None)
