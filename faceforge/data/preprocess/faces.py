"""Detects faces with the frontal-face cascade that OpenCV ships (Viola and Jones 2001; Lienhart 2002), offline."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faceforge.data.preprocess.crop import Box
from faceforge.data.preprocess.decode import RejectedError

MIN_FACE_SHARE = 1 / 8  # of the image's shorter edge; smaller detections are bystanders, or mostly false positives
_SEARCH_EDGE = 160  # shorter edge in pixels; the smallest face then has the 20 pixels that the cascade needs
_BORDER = 0.25  # of the shorter edge, added on all sides by repeating the outermost pixels
_CASCADE = "haarcascade_frontalface_alt2.xml"
_local = threading.local()


def detect_face(image: Image.Image) -> Box:
    """The x, y, width and height in pixels of the largest face in an upright L or RGB image.

    Raises:
        RejectedError: no face is detected.
    """
    scale = min(_SEARCH_EDGE / min(image.size), 1.0)
    grey = image.convert("L").resize([round(edge * scale) for edge in image.size], Image.Resampling.BOX)
    border = round(_BORDER * min(grey.size))  # without a border, the cascade misses faces that fill the image
    padded = np.pad(np.asarray(grey), border, "edge")
    min_edge = round(MIN_FACE_SHARE * min(grey.size))
    boxes = _cascade().detectMultiScale(padded, scaleFactor=1.1, minNeighbors=3, minSize=(min_edge, min_edge))
    if len(boxes) == 0:
        raise RejectedError("no face found")
    width, height, y, x = max((w, h, y, x) for x, y, w, h in boxes.tolist())
    return round((x - border) / scale), round((y - border) / scale), round(width / scale), round(height / scale)


def _cascade() -> Any:
    """This thread's own classifier: OpenCV's must not be shared between threads."""
    if not hasattr(_local, "cascade"):
        import cv2

        cv2.setNumThreads(1)  # images are processed in parallel already
        _local.cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))
    return _local.cascade
