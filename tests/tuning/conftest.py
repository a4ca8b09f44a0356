"""A small image set, and MLflow databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest.build import build_image_set
from tests.tracking.conftest import empty_database, tracking_uri

__all__ = ["empty_database", "tracking_uri"]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """500 toy faces, at least 64 of them in the holdout."""
    folder = tmp_path_factory.mktemp("images") / "toy"
    return build_image_set("toyfaces", folder, resolve("toy", "ingest.limit=500, ingest.holdout=0.15").ingest)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tune"
