"""Two sets of photographs in the face embedding; a small embedding stands for the network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from faceforge.cli.main import main
from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics import face_sets, faces
from faceforge.evaluation.diagnostics.face_sets import compare_face_sets

IMAGES, _ = draw_toyfaces(180, 32, seed=6)


def small_embedding(chips: np.ndarray) -> np.ndarray:
    pixels = chips[:, ::30, ::30].reshape(len(chips), -1).astype(np.float32) - 127
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


def folder(path: Path, images: np.ndarray) -> str:
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:03}.png")
    return str(path)


@pytest.fixture(autouse=True)
def _available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find_spec", lambda name: name)
    monkeypatch.setattr(faces, "has_face", lambda images: np.ones(len(images), bool))
    monkeypatch.setattr(face_sets, "face_embeddings", small_embedding)


def test_sets_of_one_distribution_are_near_and_others_far(tmp_path: Path) -> None:
    real, same = folder(tmp_path / "real", IMAGES[:90]), folder(tmp_path / "same", IMAGES[90:])
    inverted = folder(tmp_path / "inverted", 255 - IMAGES[90:])
    near, far = compare_face_sets(real, same), compare_face_sets(real, inverted)
    assert set(near.metrics) == {"face/mmd", "face/precision", "face/recall", "face/identity_match"}
    assert abs(near.metrics["face/mmd"]) < 0.1 < far.metrics["face/mmd"]
    assert far.metrics["face/precision"] < near.metrics["face/precision"]
    assert (near.real.images, near.fake.images) == (90, 90)
    assert compare_face_sets(real, real).metrics["face/identity_match"] == 1


def test_wide_photographs_are_cut_to_their_centre(tmp_path: Path) -> None:
    wide = np.pad(IMAGES[:60], [(0, 0), (0, 0), (20, 20), (0, 0)], mode="constant")
    found = compare_face_sets(folder(tmp_path / "real", IMAGES[:60]), folder(tmp_path / "wide", wide))
    assert found.metrics["face/precision"] == found.metrics["face/recall"] == 1


def test_large_sets_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_sets, "AT_MOST", 60)
    real, fake = folder(tmp_path / "real", IMAGES[:90]), folder(tmp_path / "fake", IMAGES[90:])
    found = compare_face_sets(real, fake)
    assert (found.real.images, found.fake.images) == (60, 60)
    assert found == compare_face_sets(real, fake) != compare_face_sets(real, fake, seed=1)


def test_the_command_needs_images_and_no_fid_network(tmp_path: Path) -> None:
    real, fake = folder(tmp_path / "real", IMAGES[:90]), folder(tmp_path / "fake", IMAGES[90:])
    shown = CliRunner().invoke(main, ["fid", real, fake, "--face"])
    assert shown.exit_code == 0, shown.output
    assert "face embedding: MMD" in shown.output
    assert "unverified" not in shown.output
    metrics = json.loads(CliRunner().invoke(main, ["fid", real, fake, "--face", "--json"]).stdout)["metrics"]
    assert metrics == compare_face_sets(real, fake).metrics
    refused = CliRunner().invoke(main, ["fid", "photos.npz", fake, "--face"])
    assert refused.exit_code == 2
    assert "--face needs images: photos.npz" in refused.output


def test_few_images_are_refused(tmp_path: Path) -> None:
    real, fake = folder(tmp_path / "real", IMAGES[:90]), folder(tmp_path / "fake", IMAGES[:20])
    with pytest.raises(FaceForgeError, match="20 images of a kind are too few"):
        compare_face_sets(real, fake)
