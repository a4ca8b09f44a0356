"""Share of samples in which a face detector finds a face, relative to the share of real images.

The detector is OpenCV's cascade of Viola & Jones (2001), trained on photographs of frontal faces, or YuNet (Wu et al.
2023), which finds turned and tilted faces as well; both are independent of this data and model. They respond to coarse
structure, not to quality: a blurred face is detected too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceforge.data.pixels import map_ordered
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.face_model import check_face_model, detect_landmarks
from faceforge.evaluation.diagnostics.rates import interval
from faceforge.evaluation.metrics.blocks import slices

MIN_REAL = 0.7  # detection rate on real images below which the detector is not used for this data
_EDGE = 96  # pixels to which images are resized: the cascade needs faces of at least 24, better more
_SMALLEST = 38  # pixels of that edge: smaller detections, of either detector, are not the face of the picture
_BORDER = 32  # pixels of padding: tight crops leave no room for the detector's window
_CHUNK = 32  # images of which a thread reads the cascade once


def descriptions(model: str = "") -> dict[str, str]:
    """Descriptions of the metrics, which name the detector.

    Args:
        model: the setting `evaluate.face_model`.

    Raises:
        FaceForgeError: the file does not exist, or is something else.
    """
    return {
        "realism/detected...": f"share of samples in which {_detector(model)} finds a face; _low, _high: 95 % interval",
        "realism/detected_real": "the same share for real holdout images: the upper limit to expect",
        "realism/relative": "detected divided by detected_real: 1 = faces are found as often as in real images; does"
        " not measure their quality",
    }


@dataclass(frozen=True)
class Realism:
    """Result of `realism`.

    Attributes:
        metrics: by name; those of the samples only if the detector works on the real images.
        without_face: samples without a detected face, uint8 (at most 16, H, W, C).
        note: why the samples were not measured; empty if they were.
    """

    metrics: dict[str, float]
    without_face: NDArray[np.uint8]
    note: str


def realism(real: NDArray[np.uint8], fake: NDArray[np.uint8], model: str = "") -> Realism:
    """Compares detection rates of samples and real images; about 10 ms per image.

    Args:
        real: uint8 (N, S, S, C), real images, N at least 1.
        fake: uint8 (M, S, S, C), samples of the same labels, M at least 1.
        model: path of YuNet as an ONNX file; empty = OpenCV's cascade.

    Raises:
        FaceForgeError: the file does not exist, or is something else.
    """
    real_rate = float(has_face(real, model).mean())
    if real_rate < MIN_REAL:
        usual = "drawings" if model else "drawings and for views that are not frontal; evaluate.face_model finds those"
        note = (
            f"not applicable: {_detector(model)} finds a face in only {real_rate:.0%} of the real images, as is usual"
            f" for {usual}"
        )
        return Realism({"realism/detected_real": real_rate}, fake[:0], note)
    detected = has_face(fake, model)
    rate = float(detected.mean())
    low, high = interval(rate, len(fake))
    metrics = {
        "realism/detected": rate,
        "realism/detected_low": low,
        "realism/detected_high": high,
        "realism/detected_real": real_rate,
        "realism/relative": rate / real_rate,
    }
    return Realism(metrics, fake[~detected][:16], note="")


def has_face(images: NDArray[np.uint8], model: str = "") -> NDArray[np.bool_]:
    """Whether the detector finds a face in each image uint8 (N, S, S, C), C 1 or 3; bool (N,).

    Args:
        images: the images.
        model: path of YuNet as an ONNX file; empty = OpenCV's cascade.
    """
    if model:
        return np.array([_largest_face(image, model) >= _SMALLEST / _EDGE for image in images], bool)
    parts = map_ordered(lambda rows: _found_by_cascade(images[rows]), slices(len(images), _CHUNK))
    return np.concatenate([np.empty(0, bool), *parts])


def _detector(model: str) -> str:
    if not model:
        return "OpenCV's frontal face detector"
    return f"YuNet (SHA-256 {check_face_model(model, 'evaluate.face_model')[:12]})"


def _largest_face(image: NDArray[np.uint8], model: str) -> float:
    """Edge of the largest face as a share of the image's edge; 0 = none is found."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    try:
        box, _ = detect_landmarks(Image.fromarray(pixels), model)
    except RejectedError:
        return 0.0
    return max(box[2:]) / len(image)


def _found_by_cascade(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    import cv2

    files: Any = cv2
    cascade = cv2.CascadeClassifier(files.data.haarcascades + "haarcascade_frontalface_default.xml")
    detected = np.zeros(len(images), bool)
    for row, image in enumerate(images):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[-1] == 3 else image[..., 0]
        shrinks = image.shape[0] > _EDGE
        grey = cv2.resize(grey, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        grey = np.pad(grey, _BORDER, "edge")
        detected[row] = len(cascade.detectMultiScale(grey, 1.1, 3, minSize=(_SMALLEST, _SMALLEST))) > 0
    return detected
