"""The use of a face detector with landmarks, tried with networks of its form that always find the same faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.ingest.build import build_image_set
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.face_model import check_face_model, detect_landmarks
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.errors import FaceForgeError
from tests.data.conftest import MakeFolder
from tests.data.preprocess.yunet import LANDMARKS, detector


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return detector(tmp_path / "one.onnx", [(160.0, 160.0, 80.0)])


def settings(model: Path | str, **fields: object) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, "face_model": str(model), **fields})


@pytest.mark.parametrize("size", [(100, 100), (400, 200), (60, 90)])
def test_positions_are_in_pixels_of_the_image(model: Path, size: tuple[int, int]) -> None:
    scale = 320 / (max(size) + 2 * round(min(size) / 4))
    (x, y, width, height), landmarks = detect_landmarks(Image.new("RGB", size), str(model))
    edge = 80 / scale
    np.testing.assert_allclose((x + width / 2, y + height / 2), (size[0] / 2, size[1] / 2), atol=1.5)
    np.testing.assert_allclose((width, height), (edge, edge), atol=1)
    expected = [(size[0] / 2 + dx * edge, size[1] / 2 + dy * edge) for dx, dy in LANDMARKS]
    np.testing.assert_allclose(landmarks, expected, atol=1)


def test_the_largest_face_counts_and_none_is_a_reject(tmp_path: Path) -> None:
    two = detector(tmp_path / "two.onnx", [(60.0, 60.0, 40.0), (220.0, 200.0, 90.0)])
    box, _ = detect_landmarks(Image.new("L", (213, 213)), str(two))
    assert box[2] == pytest.approx(90 / (320 / 319), abs=1)
    with pytest.raises(RejectedError, match="no face found"):
        detect_landmarks(Image.new("RGB", (64, 64)), str(detector(tmp_path / "none.onnx", [])))


def test_images_without_landmarks_are_aligned_by_detected_ones(model: Path) -> None:
    x, y = np.meshgrid(np.arange(200), np.arange(200))
    pixels = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    detected = detect_landmarks(Image.fromarray(pixels), str(model))[1]
    aligned = prepare_image(pixels, settings(model, crop="landmarks")).pixels
    np.testing.assert_array_equal(
        aligned, prepare_image(pixels, settings("", crop="landmarks"), landmarks=detected).pixels
    )
    annotated = tuple((a + 20, b) for a, b in detected)  # annotations are preferred
    moved = prepare_image(pixels, settings(model, crop="landmarks"), landmarks=annotated).pixels
    assert moved[16, 16, 0] > aligned[16, 16, 0] + 10
    box = detect_landmarks(Image.fromarray(pixels), str(model))[0]
    np.testing.assert_array_equal(
        prepare_image(pixels, settings(model, crop="face")).pixels,
        prepare_image(pixels, settings("", crop="box"), box=box).pixels,
    )


def test_useless_model_files_are_refused_before_work_starts(tmp_path: Path, make_folder: MakeFolder) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    root = make_folder("1.png", "2.png")
    for name, message in (("none.onnx", "does not exist"), ("no.onnx", "is not YuNet")):
        with pytest.raises(FaceForgeError, match=message) as caught:
            build_image_set(str(root), tmp_path / "set", settings(tmp_path / name, crop="face"))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_another_model_makes_another_set(tmp_path: Path) -> None:
    first = check_face_model(str(detector(tmp_path / "a.onnx", [(160.0, 160.0, 80.0)])))
    assert first != check_face_model(str(detector(tmp_path / "b.onnx", [(160.0, 160.0, 90.0)])))
