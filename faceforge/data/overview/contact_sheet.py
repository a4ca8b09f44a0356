"""Contact sheets: many images arranged in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from faceforge.data.pixels import Pixels
from faceforge.files import atomic_file


def image_grid(images: Pixels, columns: int, pad: int = 0) -> Pixels:
    """Arranges images in rows of `columns`, left to right, top to bottom; the last row is filled up with white.

    Args:
        images: uint8 (N, H, W, C), N at least 1.
        columns: images per row.
        pad: white pixels between adjacent images.

    Returns:
        uint8 (rows * (H + pad) - pad, columns * (W + pad) - pad, C).
    """
    if columns < 1 or len(images) < 1:
        raise ValueError("a grid needs at least one image and one column")
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + pad, width + pad, channels), 255, np.uint8)
    cells[:count, :height, :width] = images
    grid = cells.reshape(rows, columns, height + pad, width + pad, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + pad), columns * (width + pad), channels)
    return grid[: grid.shape[0] - pad, : grid.shape[1] - pad]


def save_png(path: Path, image: Pixels) -> None:
    """Writes uint8 (H, W, 1 or 3) as a PNG file, atomically."""
    with atomic_file(path) as partial:
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(partial, "PNG")
