"""Toy faces: drawn, anti-aliased cartoon faces whose labels are true by construction.

Every face is a handful of shapes given by signed distances (negative inside); a pixel's coverage is its distance to the
outline, clipped to one pixel, so that faces are smooth at any size. Skin, hair, background, pose and proportions vary
independently of the label, so only the drawn expression tells the classes apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels
from faceforge.errors import FaceForgeError

COLUMN = "expression"
EXPRESSIONS: tuple[str, ...] = ("neutral", "smiling", "glasses")
NEUTRAL, SMILING, GLASSES = range(3)
CHUNK = 8  # faces drawn at once: few enough to stay in the processor's cache, and in memory that is used again
_TRAITS = 32  # random numbers per face

Floats = NDArray[np.floating[Any]]

_SKIN = np.array(
    [[255, 224, 198], [238, 206, 178], [221, 180, 148], [190, 148, 116], [150, 106, 78], [112, 74, 52], [84, 52, 34]],
    np.float32,
)
_HAIR = np.array(
    [[28, 20, 18], [62, 40, 24], [104, 62, 28], [202, 160, 78], [158, 62, 30], [128, 128, 130]], np.float32
)


def draw_toyfaces(
    count: int, image_size: int = 32, seed: int = 0, shares: Mapping[str, float] | None = None
) -> tuple[Pixels, NDArray[np.int32]]:
    """Draws labelled faces; the i-th depends on the seed, the shares and i only.

    Args:
        count: how many.
        image_size: edge in pixels.
        seed: of everything that varies.
        shares: relative frequency of each of `EXPRESSIONS`; None = equal, a class left out = 0.

    Returns:
        images uint8 (count, size, size, 3), and codes int32 (count, 1), positions in `EXPRESSIONS`.

    Raises:
        FaceForgeError: shares name an unknown class, are negative, or are all zero.
    """
    faces = ToyFaces(count, image_size, seed, shares)
    images = np.empty((count, image_size, image_size, 3), np.uint8)
    for start in range(0, count, CHUNK):
        images[start : start + CHUNK] = faces.draw(start, start + CHUNK)
    return images, faces.codes[:, None]


@dataclass
class ToyFaces:
    """The traits of `count` faces, drawn on demand; arguments as in `draw_toyfaces`.

    Attributes:
        codes: int32 (count,), positions in `EXPRESSIONS`.
    """

    count: int
    image_size: int = 32
    seed: int = 0
    shares: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        weights = _weights(self.shares)
        self._traits = np.random.default_rng(self.seed).random((self.count, _TRAITS), dtype=np.float32)
        edges = np.cumsum(weights) / weights.sum()
        codes = np.searchsorted(edges[:-1], self._traits[:, 0], side="right")
        self.codes: NDArray[np.int32] = codes.astype(np.int32)

    def draw(self, start: int, stop: int) -> Pixels:
        """Faces `start` to `stop` (or the last) as uint8 (n, size, size, 3)."""
        return _draw(self._traits[start:stop], self.codes[start:stop], self.image_size)


def _weights(shares: Mapping[str, float] | None) -> NDArray[np.float64]:
    if shares is None:
        return np.ones(len(EXPRESSIONS))
    if unknown := [name for name in shares if name not in EXPRESSIONS]:
        raise FaceForgeError(f"toyfaces has no class {unknown[0]!r}; its classes: {', '.join(EXPRESSIONS)}")
    weights = np.array([float(shares.get(name, 0.0)) for name in EXPRESSIONS])
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise FaceForgeError(f"toyfaces shares {dict(shares)} must be 0 or more, and not all 0")
    return weights


def _draw(traits: Floats, codes: NDArray[np.int32], size: int) -> Pixels:
    """Paints the layers back to front, in units of the image's edge, y downwards."""
    ruler = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = ruler[None, None, :], ruler[None, :, None]

    def vary(trait: int, low: float, high: float) -> Floats:
        return (low + (high - low) * traits[:, trait])[:, None, None]

    def colour(first: int, low: float, high: float) -> Floats:
        return low + (high - low) * traits[:, first : first + 3]

    tone = traits[:, 1] * (len(_SKIN) - 1.001)
    lower, blend = tone.astype(int), (tone % 1)[:, None]
    skin = _SKIN[lower] * (1 - blend) + _SKIN[lower + 1] * blend
    hair = _HAIR[(traits[:, 2] * len(_HAIR)).astype(int)] * (0.85 + 0.3 * traits[:, 3:4])
    long_hair = (traits[:, 4] < 0.5).astype(np.float32)[:, None, None]
    smiling = (codes == SMILING).astype(np.float32)[:, None, None]
    glasses = (codes == GLASSES).astype(np.float32)[:, None, None]

    middle, height = vary(5, 0.46, 0.54), vary(6, 0.47, 0.53)  # of the face
    wide, tall = vary(7, 0.25, 0.30), vary(8, 0.31, 0.36)
    dx, dy = x - middle, y - height
    side = np.abs(dx)  # both halves of a face at once
    eye_y, eye_x = height - 0.02, wide * vary(9, 0.42, 0.47)
    eye_dx, eye_dy = side - eye_x, y - eye_y
    gaze = dx - np.where(dx > 0, eye_x, -eye_x) - vary(10, -0.012, 0.012)

    canvas = _Canvas(colour(11, 70, 250), size)
    mane = _ellipse(dx, dy + 0.02, wide * 1.32, tall * 1.22)
    canvas.paint(hair * 0.9, np.maximum(mane, dy - tall * 1.1), long_hair)
    canvas.paint(skin * 0.86, np.maximum(side - wide * 0.40, -dy))  # neck
    canvas.paint(colour(14, 20, 255), _ellipse(dx, y - 1.04, vary(17, 0.30, 0.44), vary(18, 0.09, 0.13)))  # clothes
    canvas.paint(skin, _ellipse(dx, dy, wide, tall))
    cap = _ellipse(dx, dy + 0.045, wide * 1.12, tall * 1.08)
    fringe = -_ellipse(dx, dy - vary(19, 0.04, 0.10), wide * 0.98, tall * 0.86)  # outside of the forehead's arc
    canvas.paint(hair, np.maximum(np.maximum(cap, fringe), dy + 0.10 - 0.10 * long_hair))

    canvas.paint(skin * 0.45 + hair * 0.25, _box(eye_dx, eye_dy + 0.085, 0.050, 0.011), 0.8 * (1 - glasses))  # brows
    canvas.paint(np.full_like(skin, 245), _ellipse(eye_dx, eye_dy, 0.055, 0.034))
    iris = np.array([[48, 34, 28]], np.float32) + traits[:, 20:21] * np.array([[20, 60, 90]], np.float32)
    canvas.paint(iris, _ellipse(gaze, eye_dy, 0.026, 0.030))
    canvas.paint(skin * 0.68, _box(dx, dy - 0.07, 0.012, 0.045), 0.7)  # nose

    mouth_y, mouth_x = dy - tall * vary(21, 0.50, 0.56), vary(22, 0.080, 0.105)
    closed = _box(dx, mouth_y, mouth_x, vary(23, 0.010, 0.022))
    canvas.paint(skin * 0.6 + np.array([[50, 20, 20]], np.float32), closed, 1 - smiling)
    grin = np.maximum(_ellipse(dx, mouth_y + 0.012, mouth_x + 0.025, vary(23, 0.080, 0.105)), -mouth_y - 0.012)
    canvas.paint(np.array([[206, 32, 48]], np.float32), grin, smiling)
    teeth = np.maximum(grin + 0.014, mouth_y - 0.018)
    canvas.paint(np.array([[250, 246, 240]], np.float32), teeth, smiling)

    rim = np.abs(_ellipse(eye_dx, eye_dy, 0.092, vary(24, 0.070, 0.088))) - 0.014
    bridge = np.maximum(np.abs(eye_dy) - 0.014, side - (eye_x - 0.085))
    canvas.paint(np.full_like(skin, 22), np.minimum(rim, bridge), glasses)
    return canvas.pixels()


class _Canvas:
    """Images under the brush: float32 (n, 3, size, size), channels first so that numpy works on long rows."""

    def __init__(self, background: Floats, size: int) -> None:
        self._size = size
        shape = (len(background), 3, size, size)
        self._image = np.broadcast_to(background.astype(np.float32)[:, :, None, None], shape).copy()

    def paint(self, colour: Floats, distance: Floats, opacity: Floats | float = 1.0) -> None:
        """Lays colour (n or 1, 3) where the signed distance (n, size, size) is below zero."""
        cover = np.clip(0.5 - distance * self._size, 0, 1) * opacity
        ink = colour.astype(np.float32)[:, :, None, None]
        self._image += cover[:, None] * (ink - self._image)

    def pixels(self) -> Pixels:
        """uint8 (n, size, size, 3)."""
        rounded = np.clip(self._image + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(rounded.transpose(0, 2, 3, 1))


def _ellipse(dx: Floats, dy: Floats, a: Floats | float, b: Floats | float) -> Floats:
    """Approximate signed distance to an ellipse with half axes a, b: exact to first order at the outline."""
    x, y = dx / a, dy / b
    inside = np.sqrt(x * x + y * y) + 1e-6
    slope = np.sqrt((x / a) ** 2 + (y / b) ** 2) + 1e-6
    result: Floats = inside * (inside - 1) / slope
    return result


def _box(dx: Floats, dy: Floats, a: Floats | float, b: Floats | float) -> Floats:
    """Signed distance to a rectangle with half edges a, b (corners squared)."""
    result: Floats = np.maximum(np.abs(dx) - a, np.abs(dy) - b)
    return result
