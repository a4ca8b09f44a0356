import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.usefulness.jitter import jitter_batch


@pytest.mark.parametrize("channels", [1, 3])
def test_images_change_mildly_and_repeatably(channels: int) -> None:
    images = draw_toyfaces(40, 32, seed=1)[0][..., :channels]
    changed = jitter_batch(images, np.random.default_rng(0))
    np.testing.assert_array_equal(changed, jitter_batch(images, np.random.default_rng(0)))
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    difference = np.abs(changed.astype(int) - images).mean(axis=(1, 2, 3))
    others = np.abs(images.astype(int) - np.roll(images, 1, axis=0)).mean(axis=(1, 2, 3))
    assert difference.min() > 0
    assert np.median(difference) < 0.5 * np.median(others)
    assert not np.array_equal(changed, jitter_batch(images, np.random.default_rng(1)))
