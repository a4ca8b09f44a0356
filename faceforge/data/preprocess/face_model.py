"""Detects faces and their landmarks with YuNet (Wu et al. 2023), run by OpenCV from a file that the user names."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faceforge.data.preprocess.crop import Box, Landmarks
from faceforge.data.preprocess.decode import RejectedError
from faceforge.errors import FaceForgeError, first_line
from faceforge.files import sha256_file

_EDGE = 320  # of the square that the network sees; it is trained for faces of 10 to 300 pixels
_BORDER = 0.25  # of the shorter edge, added on all sides by repeating the outermost pixels
_SCORE, _OVERLAP, _MOST = 0.6, 0.3, 50
_local = threading.local()


def detect_landmarks(image: Image.Image, model: str) -> tuple[Box, Landmarks]:
    """Box (x, y, width, height) and five landmarks of the largest face in an upright L or RGB image, in its pixels.

    Args:
        image: the image.
        model: path of YuNet as an ONNX file, as `check_face_model` accepts it.

    Returns:
        the box, and eyes, tip of the nose and corners of the mouth, the left ones first, as the viewer sees them.

    Raises:
        RejectedError: no face is detected.
    """
    border = round(_BORDER * min(image.size))
    scale = _EDGE / (max(image.size) + 2 * border)
    size = [max(round(edge * scale), 1) for edge in image.size]
    kernel = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    pixels = np.asarray(image.convert("RGB").resize((size[0], size[1]), kernel))[:, :, ::-1]
    left, top = (_EDGE - size[0]) // 2, (_EDGE - size[1]) // 2
    padded = np.pad(pixels, [(top, _EDGE - size[1] - top), (left, _EDGE - size[0] - left), (0, 0)], "edge")
    _, faces = _detector(model).detect(np.ascontiguousarray(padded))
    if faces is None:
        raise RejectedError("no face found")
    face = max(faces.tolist(), key=lambda row: row[2] * row[3])
    points = (np.array(face[:14]).reshape(7, 2) - [[left, top], [0, 0], *[[left, top]] * 5]) / scale
    x, y, width, height = (round(value) for value in points[:2].ravel().tolist())
    return (x, y, width, height), tuple((float(a), float(b)) for a, b in points[2:])


@lru_cache(maxsize=4)
def check_face_model(model: str, setting: str = "ingest.face_model") -> str:
    """The SHA-256 of a model file that OpenCV can run as a face detector.

    Args:
        model: path of the file.
        setting: that names the file; for the message.

    Raises:
        FaceForgeError: it does not exist, or is something else.
    """
    if not Path(model).is_file():
        raise FaceForgeError(
            f"{setting} {model} does not exist; give the path of YuNet, face_detection_yunet_2023mar.onnx of "
            "OpenCV's model zoo"
        )
    try:
        _create(model).detect(np.zeros((_EDGE, _EDGE, 3), np.uint8))
    except Exception as error:  # of OpenCV, whose errors share no useful base
        raise FaceForgeError(f"{setting} {model} is not YuNet as an ONNX file: {first_line(error, 120)}") from None
    return sha256_file(Path(model))


def _detector(model: str) -> Any:
    """This thread's own detector: OpenCV's must not be shared between threads."""
    detectors = _local.__dict__.setdefault("detectors", {})
    if model not in detectors:
        detectors[model] = _create(model)
    return detectors[model]


def _create(model: str) -> Any:
    import cv2

    cv2.setNumThreads(1)  # images are processed in parallel already
    return cv2.FaceDetectorYN.create(model, "", (_EDGE, _EDGE), _SCORE, _OVERLAP, _MOST)
