"""Faces are counted where there are faces, and nothing is said where the detector does not suit the images."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from faceforge.cli.main import main
from faceforge.config import EvaluateConfig
from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics import run
from faceforge.evaluation.diagnostics.realism import descriptions, has_face, realism
from faceforge.files import sha256_file
from tests.data.preprocess.yunet import detector

STRIPES = np.tile(np.arange(32, dtype=np.uint8) * 8, (50, 32, 1))[..., None].repeat(3, axis=-1)


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
    found = realism(STRIPES, faces)
    assert set(found.metrics) == {"realism/detected_real"}
    assert "OpenCV's frontal face detector finds a face in only 0% of the real images" in found.note
    assert "evaluate.face_model" in found.note


def test_grey_and_large_images_will_do(faces: NDArray[np.uint8]) -> None:
    large = faces[:10].repeat(6, axis=1).repeat(6, axis=2)
    grey = np.rint(large @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    assert has_face(grey).mean() >= 0.6


def test_a_named_model_takes_the_place_of_the_cascade(faces: NDArray[np.uint8], tmp_path: Path) -> None:
    always = str(detector(tmp_path / "always.onnx", [(160.0, 160.0, 100.0)]))
    never = str(detector(tmp_path / "never.onnx", []))
    assert has_face(STRIPES, always).all()
    assert has_face(STRIPES[..., :1], always).all()
    assert realism(STRIPES, faces, always).metrics["realism/relative"] == 1
    found = realism(faces, faces, never)
    assert set(found.metrics) == {"realism/detected_real"}
    assert found.note.startswith("not applicable: YuNet")


def test_small_faces_in_the_background_do_not_count(tmp_path: Path) -> None:
    small = detector(tmp_path / "small.onnx", [(160.0, 160.0, 60.0)])  # 60 / 320 of an image with its border
    assert not has_face(STRIPES, str(small)).any()


def test_descriptions_name_the_detector_that_measured(tmp_path: Path) -> None:
    model = detector(tmp_path / "model.onnx", [])
    assert "OpenCV" in descriptions()["realism/detected..."]
    assert f"YuNet (SHA-256 {sha256_file(model)[:12]})" in descriptions(str(model))["realism/detected..."]
    with pytest.raises(FaceForgeError, match=r"^evaluate\.face_model none\.onnx does not exist"):
        descriptions("none.onnx")


def test_evaluation_counts_by_the_detector_that_is_named(tmp_path: Path) -> None:
    images: Any = SimpleNamespace(samples=STRIPES, holdout=STRIPES, compared=len(STRIPES))
    always = detector(tmp_path / "always.onnx", [(160.0, 160.0, 100.0)])
    for model, rate in (("", 0), (str(always), 1)):
        config = EvaluateConfig.model_validate({"face_model": model})
        found = run.DIAGNOSTICS["face detection"](images, images, images, config)
        assert found.metrics["realism/detected_real"] == rate


@pytest.mark.parametrize(("name", "message"), [("none.onnx", "does not exist"), ("no.onnx", "is not YuNet")])
def test_useless_model_files_are_refused_before_work_starts(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    options = ["--bundle", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "report")]
    result = CliRunner().invoke(main, ["evaluate", *options, "--set", f"evaluate.face_model={tmp_path / name}"])
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith(f"error: evaluate.face_model {tmp_path / name} {message}")
    assert not (tmp_path / "report").exists()
