"""Small images and folders of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.data.pixels import Pixels

MakeFolder = Callable[..., Path]


def noise(seed: int, size: int = 40) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Call with relative paths; each becomes a different picture."""

    def make(*paths: str, name: str = "pictures", first_seed: int = 0) -> Path:
        root = tmp_path / name
        for seed, path in enumerate(paths, first_seed):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise(seed)).save(file)
        return root

    return make


@pytest.fixture
def classes_folder(make_folder: MakeFolder) -> Path:
    """Thirty pictures, half of them cats, half dogs."""
    return make_folder(*(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(15)))
