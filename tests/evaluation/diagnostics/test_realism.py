"""Faces are counted where there are faces, and nothing is said where the detector does not suit the images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.evaluation.diagnostics.realism import has_face, realism


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    """Drawn faces in which the detector finds one: they stand for photographs."""
    images, _ = draw_toyfaces(160, 32, seed=1)
    found = images[has_face(images)]
    assert len(found) > 40
    return found


def test_counts_faces_relative_to_real_images(faces: NDArray[np.uint8]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, faces.shape, dtype=np.uint8)
    assert realism(faces, faces).metrics["realism/relative"] == 1
    half = np.concatenate([faces[:20], noise[:20]])
    found = realism(faces, half)
    assert found.metrics["realism/detected"] == found.metrics["realism/relative"] == 0.5
    assert found.metrics["realism/detected_low"] == pytest.approx(0.352, abs=1e-3)
    assert not found.note
    np.testing.assert_array_equal(found.without_face, noise[:16])


def test_says_nothing_where_real_images_have_no_face_for_it(faces: NDArray[np.uint8]) -> None:
    stripes = np.tile(np.arange(32, dtype=np.uint8) * 8, (50, 32, 1))[..., None].repeat(3, axis=-1)
    found = realism(stripes, faces)
    assert set(found.metrics) == {"realism/detected_real"}
    assert "0% of the real images" in found.note


def test_grey_and_large_images_will_do(faces: NDArray[np.uint8]) -> None:
    large = faces[:10].repeat(6, axis=1).repeat(6, axis=2)
    grey = np.rint(large @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    assert has_face(grey).mean() >= 0.6
