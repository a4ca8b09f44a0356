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


def tinted(images: Images, amount: float) -> Images:
    return clipped(images * np.array([1 + amount, 1, 1 - amount]))


def halved(images: Images, others: Images, axis: int) -> Images:
    """Images whose first half, along an axis, is a copy."""
    result, half = others.copy(), images.shape[1] // 2
    result.swapaxes(0, axis)[:half] = images.swapaxes(0, axis)[:half]
    return result


def clipped(values: NDArray[np.floating]) -> Images:
    return np.clip(values, 0, 255).astype(np.uint8)


ATTACKS: dict[str, tuple[float, Callable[[Images], Images]]] = {
    # Name: share of the samples at which it must be caught, and the change.
    "verbatim": (0.01, lambda images: images),
    "mirrored": (0.01, lambda images: np.ascontiguousarray(images[:, :, ::-1])),
    "noise of 8 grey levels": (0.02, lambda images: noisy(images, 8)),
    "noise of 16 grey levels": (0.06, lambda images: noisy(images, 16)),
    "colour balance of 15 %": (0.02, lambda images: tinted(images, 0.15)),
    "JPEG of quality 75": (0.06, lambda images: jpeg(images, 75)),
    "rotation of 15 degrees": (0.04, lambda images: moved(images, angle=15)),
    "zoom of 1.2": (0.06, lambda images: moved(images, zoom=1.2)),
    "zoom of 0.85": (0.04, lambda images: moved(images, zoom=0.85)),
    "shift of 3 pixels": (0.02, lambda images: moved(images, shift=(3, 0))),
    "shift of 4 and 4 pixels": (0.06, lambda images: moved(images, shift=(4, 4))),
    "crop of 3 pixels all around": (0.06, lambda images: cropped(images, 3)),
    "JPEG of quality 50": (0.1, lambda images: jpeg(images, 50)),
    "mirrored, rotation of 10 degrees": (0.02, lambda images: moved(images[:, :, ::-1].copy(), angle=10)),
    "mirrored, shift of 3 pixels": (0.02, lambda images: moved(images[:, :, ::-1].copy(), shift=(3, 0))),
    "mirrored, JPEG of quality 75": (0.06, lambda images: jpeg(images[:, :, ::-1].copy(), 75)),
    "rotation of 8 degrees, zoom of 1.1": (0.06, lambda images: moved(images, angle=8, zoom=1.1)),
    "colour balance of 10 %, noise of 8 grey levels": (0.02, lambda images: noisy(tinted(images, 0.1), 8)),
    "shift of 2 and 2 pixels, JPEG of quality 75": (0.25, lambda images: jpeg(moved(images, shift=(2, 2)), 75)),
}
