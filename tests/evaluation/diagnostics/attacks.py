"""Changes that hide copies of training images; each takes and returns images uint8 (N, S, S, C)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


def jpeg(images: Images, quality: int) -> Images:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = [cv2.imencode(".jpg", image, options)[1] for image in images]
    return np.stack([np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8) for data in encoded])


def moved(images: Images, angle: float = 0, zoom: float = 1, shift: tuple[int, int] = (0, 0)) -> Images:
    edge = images.shape[1]
    matrix = cv2.getRotationMatrix2D(((edge - 1) / 2, (edge - 1) / 2), angle, zoom)
    matrix[:, 2] += shift
    warped = [cv2.warpAffine(image, matrix, (edge, edge), borderMode=cv2.BORDER_REFLECT) for image in images]
    return np.stack(warped)


def cropped(images: Images, border: int) -> Images:
    size = images.shape[1:3]
    return np.stack([cv2.resize(image[border:-border, border:-border], size) for image in images])


def noisy(images: Images, deviation: float) -> Images:
    return clipped(images + np.random.default_rng(0).normal(0, deviation, images.shape))


def clipped(values: NDArray[np.floating]) -> Images:
    return np.clip(values, 0, 255).astype(np.uint8)


ATTACKS: dict[str, tuple[float, Callable[[Images], Images]]] = {
    # Name: share of the samples at which it must be caught, and the change.
    "verbatim": (0.01, lambda images: images),
    "mirrored": (0.01, lambda images: np.ascontiguousarray(images[:, :, ::-1])),
    "noise of 8 grey levels": (0.02, lambda images: noisy(images, 8)),
    "noise of 16 grey levels": (0.06, lambda images: noisy(images, 16)),
    "colour balance of 15 %": (0.02, lambda images: clipped(images * np.array([1.15, 1.0, 0.85]))),
    "JPEG of quality 75": (0.06, lambda images: jpeg(images, 75)),
    "rotation of 15 degrees": (0.04, lambda images: moved(images, angle=15)),
    "zoom of 1.2": (0.06, lambda images: moved(images, zoom=1.2)),
    "zoom of 0.85": (0.04, lambda images: moved(images, zoom=0.85)),
    "shift of 3 pixels": (0.02, lambda images: moved(images, shift=(3, 0))),
    "shift of 4 and 4 pixels": (0.06, lambda images: moved(images, shift=(4, 4))),
    "crop of 3 pixels all around": (0.06, lambda images: cropped(images, 3)),
}
