"""A small set of toy faces, and untrained models of its labels, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.inference.generator import Generator

LABELS = {COLUMN: list(EXPRESSIONS)}


@pytest.fixture(scope="session")
def faces() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    return draw_toyfaces(600, 32, seed=3, shares={"neutral": 0.6, "smiling": 0.35, "glasses": 0.05})


@pytest.fixture(scope="session")
def data(faces: tuple[NDArray[np.uint8], NDArray[np.int32]], tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    images, codes = faces
    splits = {"train": (images[:400], codes[:400]), "holdout": (images[400:], codes[400:])}
    return write_image_set(tmp_path_factory.mktemp("data") / "faces", splits, LABELS)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, conditional on the toy faces' label."""
    return make_bundle(tmp_path_factory.mktemp("toy") / "bundle", LABELS, 3)


@pytest.fixture(scope="session")
def generator(bundle: Path) -> Generator:
    return Generator.load(bundle)
