from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.faces import detect_face
from faceforge.data.sources.toyfaces import draw_toyfaces

pytest.importorskip("cv2")


def face() -> Image.Image:
    return Image.fromarray(draw_toyfaces(4, image_size=128)[0][3])


def picture(*faces: tuple[int, int, int], size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A grey picture with faces: left, top, edge."""
    result = Image.new("RGB", size, (120, 125, 130))
    for left, top, edge in faces:
        result.paste(face().resize((edge, edge)), (left, top))
    return result


@pytest.mark.parametrize("factor", [1, 4])
def test_a_face_is_found_where_it_is(factor: int) -> None:
    image = picture((220, 90, 150))
    image = image.resize((image.width * factor, image.height * factor))
    x, y, wide, high = (value / factor for value in detect_face(image))
    assert abs(x + wide / 2 - 295) < 15
    assert abs(y + high / 2 - 165) < 20
    assert 75 <= wide == high <= 150


def test_the_largest_of_several_counts() -> None:
    x, _, wide, _ = detect_face(picture((10, 20, 90), (200, 60, 170)))
    assert 200 <= x + wide / 2 <= 370


def test_a_face_that_fills_the_picture_is_found() -> None:
    image = picture((0, 0, 128), size=(128, 128)).crop((22, 22, 112, 122))
    assert detect_face(image)[2] > 50


def test_no_face_is_a_reason() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 140, 3), np.uint8)
    for nothing in (Image.new("L", (50, 50)), Image.fromarray(noise), Image.new("RGB", (2, 900))):
        with pytest.raises(RejectedError, match="no face found"):
            detect_face(nothing)
