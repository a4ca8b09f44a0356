"""In what share of the samples does a face detector find a face, relative to real images?

The honest form of "x % realistic": the detector is OpenCV's cascade of Viola & Jones (2001), which knows frontal faces
of photographs and nothing of this data or model. It finds coarse structure, not quality: to it, a blurred face is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.rates import interval

MIN_REAL = 0.7  # share of real images with a face, below which the detector does not suit the data
_EDGE = 96  # pixels that images are brought to: the cascade needs faces of at least 24, and likes more
_SMALLEST = 38  # pixels of that edge: less is no face of the picture
_BORDER = 32  # pixels around, in the colour of the edge: tight crops have no room for the detector's window

HOW = {
    "realism/detected...": "share of samples in which OpenCV's frontal face detector finds a face; _low, _high: 95 %"
    " interval",
    "realism/detected_real": "the same share for real holdout images: the most to expect",
    "realism/relative": "detected over detected_real: 1 = faces are found as often as in real images; says nothing"
    " about their quality",
}


@dataclass(frozen=True)
class Realism:
    """What the detector found.

    Attributes:
        metrics: by name; of the samples only if the detector suits the data.
        without_face: samples without a face, uint8 (at most 16, H, W, C); empty if the detector does not suit.
        note: why there are no numbers of the samples; empty if there are.
    """

    metrics: dict[str, float]
    without_face: NDArray[np.uint8]
    note: str


def realism(real: NDArray[np.uint8], fake: NDArray[np.uint8]) -> Realism:
    """Compares detection rates; about 3 ms per image.

    Args:
        real: uint8 (N, S, S, C), real images, N at least 1.
        fake: uint8 (M, S, S, C), samples of the same labels, M at least 1.
    """
    real_rate = float(has_face(real).mean())
    if real_rate < MIN_REAL:
        note = (
            f"not applicable: the detector finds a face in {real_rate:.0%} of the real images only, as with drawings or"
            " other views than frontal ones"
        )
        return Realism({"realism/detected_real": real_rate}, fake[:0], note)
    found = has_face(fake)
    rate = float(found.mean())
    low, high = interval(rate, len(fake))
    metrics = {
        "realism/detected": rate,
        "realism/detected_low": low,
        "realism/detected_high": high,
        "realism/detected_real": real_rate,
        "realism/relative": rate / real_rate,
    }
    return Realism(metrics, fake[~found][:16], note="")


def has_face(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether the detector finds a face, (N,), in each image uint8 (N, S, S, C), C 1 or 3."""
    import cv2

    files: Any = cv2
    cascade = cv2.CascadeClassifier(files.data.haarcascades + "haarcascade_frontalface_default.xml")
    found = np.zeros(len(images), bool)
    for row, image in enumerate(images):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[-1] == 3 else image[..., 0]
        shrinks = image.shape[0] > _EDGE
        grey = cv2.resize(grey, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        grey = np.pad(grey, _BORDER, "edge")
        found[row] = len(cascade.detectMultiScale(grey, 1.1, 3, minSize=(_SMALLEST, _SMALLEST))) > 0
    return found
