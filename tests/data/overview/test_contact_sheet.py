from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.data.overview.contact_sheet import image_grid, save_png


def test_images_go_left_to_right_then_down() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    grid = image_grid(images, 2, pad=1)
    assert grid.shape == (3 * 3 - 1, 2 * 4 - 1, 1)
    assert (grid[:2, :3] == 0).all()
    assert (grid[:2, 4:] == 1).all()
    assert (grid[6:, :3] == 4).all()
    assert (grid[2] == 255).all()
    assert (grid[6:, 4:] == 255).all()


def test_a_grid_of_no_images_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        image_grid(np.empty((0, 2, 2, 3), np.uint8), 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_pixels(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, channels), np.uint8)
    save_png(tmp_path / "new" / "a.png", pixels)
    with Image.open(tmp_path / "new" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(4, 6, channels), pixels)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]
