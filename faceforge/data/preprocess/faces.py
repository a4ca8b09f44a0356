"""Finds faces with the frontal-face cascade that OpenCV ships (Viola and Jones 2001; Lienhart 2002); runs offline."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faceforge.data.preprocess.crop import Box
from faceforge.data.preprocess.decode import RejectedError

SMALLEST_FACE = 1 / 8  # of the picture's shorter edge; smaller ones are passers-by, and mostly false alarms
_SEARCHED = 160  # pixels of the shorter edge: the smallest face then has the 20 px that the cascade needs
_BORDER = 0.25  # of the shorter edge, added on all sides by repeating the outermost pixels
_CASCADE = "haarcascade_frontalface_alt2.xml"
_local = threading.local()


def find_face(image: Image.Image) -> Box:
    """The largest face in an upright L or RGB picture, as x, y, width, height in its pixels.

    Raises:
        RejectedError: none is found.
    """
    scale = min(_SEARCHED / min(image.size), 1.0)
    grey = image.convert("L").resize([round(edge * scale) for edge in image.size], Image.Resampling.BOX)
    border = round(_BORDER * min(grey.size))  # the cascade misses faces that fill the picture
    levels = np.pad(np.asarray(grey), border, "edge")
    smallest = round(SMALLEST_FACE * min(grey.size))
    found = _cascade().detectMultiScale(levels, scaleFactor=1.1, minNeighbors=3, minSize=(smallest, smallest))
    if len(found) == 0:
        raise RejectedError("no face found")
    wide, high, y, x = max((w, h, y, x) for x, y, w, h in found.tolist())
    return round((x - border) / scale), round((y - border) / scale), round(wide / scale), round(high / scale)


def _cascade() -> Any:
    """One per thread: OpenCV's must not be shared."""
    if not hasattr(_local, "cascade"):
        import cv2

        cv2.setNumThreads(1)  # pictures are worked on in parallel already
        _local.cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))
    return _local.cascade
