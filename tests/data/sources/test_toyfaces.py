from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import EXPRESSIONS, GLASSES, NEUTRAL, SMILING, draw_toyfaces
from faceforge.errors import FaceForgeError


def test_the_same_seed_draws_the_same_faces_and_more_of_them() -> None:
    few, few_codes = draw_toyfaces(5, seed=3)
    many, many_codes = draw_toyfaces(300, seed=3)
    np.testing.assert_array_equal(few, many[:5])
    np.testing.assert_array_equal(few_codes, many_codes[:5])
    assert not np.array_equal(few, draw_toyfaces(5, seed=4)[0])


@pytest.mark.parametrize("size", [16, 32, 64])
def test_shapes_and_types(size: int) -> None:
    images, codes = draw_toyfaces(3, image_size=size)
    assert (images.shape, images.dtype) == ((3, size, size, 3), np.uint8)
    assert (codes.shape, codes.dtype) == ((3, 1), np.int32)


def test_sizes_show_the_same_faces() -> None:
    small, large = draw_toyfaces(20, 32)[0], draw_toyfaces(20, 64)[0]
    halved = large.reshape(20, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(halved - small).mean() < 4


def test_labels_are_true() -> None:
    """A smile shows as saturated red low in the face, glasses as near-black around the eyes."""
    images, codes = draw_toyfaces(600)
    pixels, kinds = images.astype(int), codes[:, 0]
    mouth, eyes = pixels[:, 18:25, 12:20], pixels[:, 12:18, 10:22]
    red = ((mouth[..., 0] > 184) & (mouth[..., 0] - mouth[..., 1] > 80) & (mouth[..., 2] < 150)).sum((1, 2))
    assert red[kinds == SMILING].min() >= 3
    assert red[kinds != SMILING].max() <= 2
    dark = (eyes.max(-1) < 60).sum((1, 2))
    assert ((dark >= 3) == (kinds == GLASSES)).mean() > 0.96
    assert np.median(dark[kinds == GLASSES]) > np.median(dark[kinds == NEUTRAL]) + 5


def test_shares_set_the_frequencies() -> None:
    codes = draw_toyfaces(3000, 16, shares={"neutral": 8, "glasses": 2})[1][:, 0]
    frequencies = np.bincount(codes, minlength=3) / 3000
    np.testing.assert_allclose(frequencies, [0.8, 0.0, 0.2], atol=0.03)
    assert np.bincount(draw_toyfaces(3000, 16)[1][:, 0], minlength=len(EXPRESSIONS)).min() > 900


@pytest.mark.parametrize(
    "shares, message",
    [({"angry": 1}, "no class 'angry'"), ({"neutral": -1}, "0 or more"), ({"smiling": 0}, "not all 0")],
)
def test_bad_shares_are_refused(shares: dict[str, float], message: str) -> None:
    with pytest.raises(FaceForgeError, match=message):
        draw_toyfaces(3, shares=shares)
