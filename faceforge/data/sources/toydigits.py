"""Toy digits: drawn digits whose labels are true by construction.

Every digit is one to three strokes through a few points. The points, the proportions, the slant, the place, the pen and
the sharpness vary independently of the label. The points were typed in; no handwriting was used. So these images are
public, and a model of private handwriting can start from a model of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels

COLUMN = "digit"
DIGITS: tuple[str, ...] = tuple("0123456789")

Floats = NDArray[np.floating[Any]]

# The ways of writing each digit. A way is strokes, separated by ";"; a stroke is points "x,y" in hundredths of the
# digit's box, y downwards.
_WAYS: tuple[tuple[str, ...], ...] = (
    (
        "50,0 20,15 10,50 22,85 50,100 80,85 90,50 78,13 45,0",
        "55,0 30,20 22,50 30,82 50,100 70,80 78,50 70,20 50,0",
    ),
    (
        "50,0 50,35 50,70 50,100",
        "30,25 42,12 55,0; 55,0 55,50 55,100",
        "25,28 40,15 55,0; 55,0 53,50 52,100; 25,100 50,100 80,100",
    ),
    (
        "15,20 40,0 75,10 75,40 45,70 12,100; 12,100 50,98 90,97",
        "20,20 50,0 80,20 65,55 35,85 15,95 25,80 50,90 90,98",
    ),
    (
        "15,10 50,0 80,15 70,38 42,48; 42,48 80,60 82,85 50,100 12,92",
        "15,3 50,2 82,3; 82,3 60,25 45,42; 45,42 80,55 80,85 50,100 15,92",
    ),
    (
        "30,0 20,30 12,58; 12,58 50,58 92,56; 70,20 68,60 66,100",
        "65,0 35,32 8,66; 8,66 50,66 92,66; 65,0 65,50 65,100",
        "20,0 12,30 30,50 75,42; 82,0 76,45 70,100",
    ),
    ("85,2 55,2 25,3; 25,3 22,25 18,45; 18,45 55,38 85,58 75,88 45,100 12,92",),
    (
        "70,0 40,20 18,55 22,88 50,100 80,85 75,60 50,50 22,68",
        "45,0 25,30 18,65 30,95 60,100 82,80 65,60 35,62 20,75",
    ),
    (
        "12,3 50,2 85,3; 85,3 62,45 45,100",
        "12,3 50,2 85,3; 85,3 60,45 42,100; 30,52 55,50 82,48",
        "12,20 15,5 50,5 85,2; 85,2 65,40 50,100",
    ),
    (
        "75,12 50,0 25,15 35,40 65,58 78,82 50,100 22,84 35,58 65,40 75,15",
        "50,0 25,12 28,38 50,47 72,35 72,10 48,0; 50,47 22,62 22,88 50,100 78,86 76,60 48,47",
    ),
    (
        "75,20 50,0 22,18 30,45 55,48 75,25; 78,10 76,50 68,100",
        "78,15 50,0 22,18 28,45 58,48 78,25 80,60 60,95 22,95",
    ),
)
_TREMOR = 0.045  # standard deviation of the points, of the box
_PIECES = 6  # straight lines between two points of a stroke
_SCALE = 4  # digits are drawn larger by this factor and then reduced, which smooths them
_FRACTION = 4  # binary places of the coordinates that cv2 draws


class ToyDigits:
    """`count` drawn digits; the i-th depends on the seed and i only.

    Args:
        count: how many.
        image_size: edge in pixels.
        seed: of everything that varies.

    Attributes:
        codes: int32 (count,), the digits.
    """

    def __init__(self, count: int, image_size: int = 32, seed: int = 0) -> None:
        self._size, self._seed = image_size, seed
        self.codes: NDArray[np.int32] = np.random.default_rng(seed).integers(10, size=count, dtype=np.int32)

    def draw(self, number: int) -> Pixels:
        """The digit of that number, uint8 (size, size, 3): light on black."""
        import cv2

        rng = np.random.default_rng([self._seed, number])
        edge = self._size * _SCALE
        canvas = np.zeros((edge, edge), np.uint8)
        width = max(1, round(edge * rng.uniform(0.06, 0.19)))
        lines = [np.rint(line * edge * 2**_FRACTION).astype(np.int32) for line in _lines(int(self.codes[number]), rng)]
        cv2.polylines(canvas, lines, False, rng.uniform(180, 255), width, cv2.LINE_AA, _FRACTION)
        blurred = cv2.GaussianBlur(canvas, (0, 0), edge * rng.uniform(0.005, 0.04))
        small = cv2.resize(blurred, (self._size, self._size), interpolation=cv2.INTER_AREA)
        return np.repeat(small[..., None], 3, axis=2)


def _lines(digit: int, rng: np.random.Generator) -> list[Floats]:
    """The strokes of a digit, each a polygonal line (n, 2) in units of the image's edge."""
    ways = _WAYS[digit]
    way = ways[rng.integers(len(ways))]
    size = np.array([rng.uniform(0.4, 0.8), rng.uniform(0.65, 0.9)])
    slant, turn, place = rng.uniform(-0.1, 0.35), rng.uniform(-0.2, 0.2), rng.uniform(0.46, 0.54, 2)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved: dict[str, Floats] = {}  # where two strokes share a point, they stay together
    lines: list[Floats] = []
    for stroke in way.split(";"):
        for point in stroke.split():
            if point not in moved:
                moved[point] = np.array(point.split(","), float) / 100 - 0.5 + rng.normal(0, _TREMOR, 2)
        points = np.stack([moved[point] for point in stroke.split()]) * size
        points[:, 0] -= slant * points[:, 1]
        lines.append(_spline(points @ turned) + place)
    return lines


def _spline(points: Floats) -> Floats:
    """Points (n, 2) of a smooth curve through the given ones (Catmull and Rom 1974)."""
    first, last = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
    around = np.concatenate([first, points, last])
    a, b, c, d = (around[place : len(points) - 1 + place, None] for place in range(4))
    t = (np.arange(_PIECES) / _PIECES)[None, :, None]
    curve = b + t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * b - a - 3 * c + d))) / 2
    result: Floats = np.concatenate([curve.reshape(-1, 2), points[-1:]])
    return result
