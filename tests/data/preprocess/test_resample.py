from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from faceforge.data.preprocess.resample import reduce_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("shape", [(178, 218, 3), (200, 200, 3), (150, 500, 3), (178, 218)])
def test_pixels_are_those_of_pillow(shape: tuple[int, ...], size: int) -> None:
    noise = RNG.integers(0, 256, shape, np.uint8)
    for pixels in (noise, (noise > 127).astype(np.uint8) * 255):
        for edge in (size, size + 0.3, 149, 150):
            left, top = RNG.uniform(0, shape[1] - edge), RNG.uniform(0, shape[0] - edge)
            for box in ((left, top, left + edge, top + edge), (0, 0, edge, edge), (shape[1] - edge, 0, shape[1], edge)):
                expected = Image.fromarray(pixels).resize((size, size), Image.Resampling.HAMMING, box=box)
                np.testing.assert_array_equal(reduce_image(pixels, box, size), np.asarray(expected))


def test_upright_formats_differ_from_pillow_by_rounding_only() -> None:
    """Pillow reduces their columns first, and rounds between both directions."""
    pixels = RNG.integers(0, 256, (400, 160, 3), np.uint8)
    box = (10, 200, 150, 340)
    expected = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.HAMMING, box=box), int)
    assert np.abs(reduce_image(pixels, box, 64) - expected).max() <= 1
