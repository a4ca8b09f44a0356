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


def blended(images: Images, others: Images, weight: float = 0.5) -> Images:
    return clipped(weight * images.astype(np.float64) + (1 - weight) * others)


def pasted(images: Images, others: Images, rows: slice, columns: slice) -> Images:
    """Other images, a rectangle of which is a copy."""
    result = others.copy()
    result[:, rows, columns] = images[:, rows, columns]
    return result


def blurred(images: Images, deviation: float) -> Images:
    return np.stack([cv2.GaussianBlur(image, (0, 0), deviation) for image in images])


def hue_shifted(images: Images, degrees: int) -> Images:
    result = []
    for image in images:
        colours = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        colours[..., 0] = (colours[..., 0].astype(int) + degrees // 2) % 180  # OpenCV's hue is in steps of 2 degrees
        result.append(cv2.cvtColor(colours, cv2.COLOR_HSV2RGB))
    return np.stack(result)


def covered(images: Images) -> Images:
    """With a black square of a quarter of the edge."""
    result, edge = images.copy(), images.shape[1]
    result[:, edge // 8 : 3 * edge // 8, edge // 2 : 3 * edge // 4] = 0
    return result


def halved_resolution(images: Images) -> Images:
    size = images.shape[1]
    small = [cv2.resize(image, (size // 2, size // 2), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR) for image in small])


def warped(images: Images, pixels: float) -> Images:
    """Moved by a smooth random field (an elastic deformation) of at most so many pixels."""
    rng, edge = np.random.default_rng(0), images.shape[1]
    rows, columns = np.mgrid[:edge, :edge].astype(np.float32)
    result = []
    for image in images:
        fields = [cv2.GaussianBlur(rng.uniform(-1, 1, (edge, edge)).astype(np.float32), (0, 0), 4) for _ in range(2)]
        down, right = (field * (pixels / np.abs(field).max()) for field in fields)
        moved_to = columns + right, rows + down
        result.append(cv2.remap(image, *moved_to, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
    return np.stack(result)


def narrowed(images: Images, pixels: int) -> Images:
    """In perspective: the upper edge is shorter by so many pixels on each side."""
    edge = images.shape[1]
    corners = np.array([[0, 0], [edge, 0], [edge, edge], [0, edge]], np.float32)
    seen = corners + np.array([[pixels, 0], [-pixels, 0], [0, 0], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, seen)
    return np.stack([cv2.warpPerspective(i, matrix, (edge, edge), borderMode=cv2.BORDER_REFLECT) for i in images])


def palette(images: Images, colours: int) -> Images:
    """In the few colours that represent each image best (k-means)."""
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 1.0)
    result = []
    for image in images:
        pixels = image.reshape(-1, 3).astype(np.float32)
        _, nearest, centres = cv2.kmeans(pixels, colours, np.empty(0), stop, 1, cv2.KMEANS_PP_CENTERS)
        result.append(centres[nearest[:, 0]].reshape(image.shape).astype(np.uint8))
    return np.stack(result)


def cut_out(images: Images, others: Images) -> Images:
    """A disc of 80 % of the edge, before the background of other images."""
    edge = images.shape[1]
    rows, columns = np.mgrid[:edge, :edge] - edge / 2
    inside = rows**2 + columns**2 < (0.4 * edge) ** 2
    return np.where(inside[:, :, None], images, others)


def clipped(values: NDArray[np.floating]) -> Images:
    return np.clip(values, 0, 255).astype(np.uint8)


ATTACKS: dict[str, tuple[float, Callable[[Images], Images]]] = {
    # Name: share of the samples at which it must be caught, and the change.
    "verbatim": (0.005, lambda images: images),
    "mirrored": (0.005, lambda images: np.ascontiguousarray(images[:, :, ::-1])),
    "noise of 8 grey levels": (0.02, lambda images: noisy(images, 8)),
    "noise of 16 grey levels": (0.06, lambda images: noisy(images, 16)),
    "colour balance of 15 %": (0.02, lambda images: tinted(images, 0.15)),
    "JPEG of quality 75": (0.06, lambda images: jpeg(images, 75)),
    "rotation of 15 degrees": (0.04, lambda images: moved(images, angle=15)),
    "zoom of 1.2": (0.1, lambda images: moved(images, zoom=1.2)),
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
    "in grey": (0.005, lambda images: np.repeat(images.mean(-1, keepdims=True), 3, -1).astype(np.uint8)),
    "red and blue exchanged": (0.005, lambda images: images[..., ::-1].copy()),
    "hue turned by 30 degrees": (0.06, lambda images: hue_shifted(images, 30)),
    "darker by 30 %": (0.005, lambda images: clipped(images * 0.7)),
    "contrast of 60 %": (0.005, lambda images: clipped(128 + 0.6 * (images - 128.0))),
    "gamma of 1.6": (0.02, lambda images: clipped(255 * (images / 255) ** 1.6)),
    "blurred by 1 pixel": (0.04, lambda images: blurred(images, 1)),
    "half the resolution": (0.04, halved_resolution),
    "16 grey levels": (0.005, lambda images: images // 16 * 16 + 8),
    "a black square of 8 pixels": (0.005, covered),
    "mirrored, rotation of -15 degrees": (0.02, lambda images: moved(images[:, :, ::-1].copy(), angle=-15)),
    "rotation of 12 degrees, JPEG of quality 75": (0.04, lambda images: jpeg(moved(images, angle=12), 75)),
    "shift of 2 and 2 pixels": (0.04, lambda images: moved(images, shift=(2, 2))),
    "zoom of 1.15, colour balance of 10 %": (0.1, lambda images: tinted(moved(images, zoom=1.15), 0.1)),
    "crop of 4 pixels all around": (0.15, lambda images: cropped(images, 4)),
    "warped by up to 1 pixel": (0.04, lambda images: warped(images, 1)),
    "warped by up to 2 pixels": (0.15, lambda images: warped(images, 2)),
    "perspective of 3 pixels": (0.04, lambda images: narrowed(images, 3)),
    "8 colours": (0.005, lambda images: palette(images, 8)),
    "4 colours": (0.06, lambda images: palette(images, 4)),
    "mirrored, crop of 3 pixels all around": (0.06, lambda images: cropped(images[:, :, ::-1].copy(), 3)),
    "shift of 2 and 2 pixels, JPEG of quality 75": (0.25, lambda images: jpeg(moved(images, shift=(2, 2)), 75)),
}

QUARTER, CENTRE, ALL = slice(0, 16), slice(8, 24), slice(None)

PARTIAL: dict[str, tuple[float, Callable[[Images, Images, Images], Images]]] = {
    # Name: share at which it must be caught; function of training images, others of them, and unseen images.
    "even blend of two": (0.01, lambda first, second, unseen: blended(first, second)),
    "even blend of two, mirrored": (0.01, lambda first, second, unseen: blended(first, second)[:, :, ::-1].copy()),
    "even blend with a mirrored one": (0.1, lambda first, second, unseen: blended(first, second[:, :, ::-1])),
    "even blend, JPEG of quality 75": (0.1, lambda first, second, unseen: jpeg(blended(first, second), 75)),
    "blend of 65 % and 35 %": (0.005, lambda first, second, unseen: blended(first, second, 0.65)),
    "blend of 80 % and 20 %": (0.06, lambda first, second, unseen: blended(first, second, 0.8)),
    "blend of 70 % and 30 % of an unseen image": (0.06, lambda first, second, unseen: blended(first, unseen, 0.7)),
    "upper half of one, lower half of another": (0.005, lambda first, second, unseen: halved(first, second, 1)),
    "upper half": (0.005, lambda first, second, unseen: halved(first, unseen, 1)),
    "left half": (0.005, lambda first, second, unseen: halved(first, unseen, 2)),
    "left half, mirrored": (0.005, lambda first, second, unseen: halved(first, unseen, 2)[:, :, ::-1].copy()),
    "left half, shifted by 2 pixels": (0.005, lambda a, b, unseen: moved(halved(a, unseen, 2), shift=(2, 0))),
    "left half, JPEG of quality 75": (0.06, lambda first, second, unseen: jpeg(halved(first, unseen, 2), 75)),
    "upper half, colour balance of 15 %": (0.06, lambda a, b, unseen: tinted(halved(a, unseen, 1), 0.15)),
    "upper half, noise of 8 grey levels": (0.06, lambda a, b, unseen: noisy(halved(a, unseen, 1), 8)),
    "another background": (0.005, lambda first, second, unseen: cut_out(first, unseen)),
    "a quarter": (0.005, lambda first, second, unseen: pasted(first, unseen, QUARTER, QUARTER)),
    "the middle 16 x 16 pixels": (0.005, lambda first, second, unseen: pasted(first, unseen, CENTRE, CENTRE)),
    "the middle rows": (0.005, lambda first, second, unseen: pasted(first, unseen, CENTRE, ALL)),
}
