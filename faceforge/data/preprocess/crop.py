"""Which part of a picture is kept: a square, possibly turned, and the cutting of it.

Positions and sizes are in pixels, x to the right, y down. A landmark alignment is a similarity transform: the square
that it keeps has a centre, an edge and an angle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.preprocess.decode import RejectedError

Box = tuple[int, int, int, int]
Landmarks = tuple[tuple[float, float], ...]

# Where the eyes, the tip of the nose and the corners of the mouth are in a face one unit wide and high, as x + iy: the
# mean face that ArcFace (Deng et al. 2019) aligns to, 112 px there.
_FACE = np.array([38.2946 + 51.6963j, 73.5318 + 51.5014j, 56.0252 + 71.7366j, 41.5493 + 92.3655j, 70.7299 + 92.2041j])
_FACE /= 112


class Region(NamedTuple):
    """A square: centre, edge, and the angle by which it is turned clockwise, in radians."""

    x: float
    y: float
    edge: float
    angle: float = 0.0

    def scaled(self, factor: float) -> Region:
        """The same in a picture that is larger by `factor`."""
        return Region(self.x * factor, self.y * factor, self.edge * factor, self.angle)


def region(size: tuple[int, int], config: IngestConfig, box: Box | None, landmarks: Landmarks | None) -> Region | None:
    """What to keep of a picture, as far as can be told without looking at it (None: find the face first).

    Args:
        size: width and height.
        config: `crop`, `crop_size`, `crop_margin`.
        box: x, y, width, height of the annotated face.
        landmarks: left eye, right eye (as seen), nose, left and right corner of the mouth; or the eyes alone.

    Raises:
        RejectedError: the picture does not allow the wanted crop.
    """
    width, height = size
    short = min(size)
    if config.crop == "face":
        return None
    if config.crop == "box":
        if box is None:
            raise RejectedError("no box is known for it, and ingest.crop is box")
        return around(box, size, config.crop_margin)
    if config.crop == "landmarks":
        if landmarks is None:
            raise RejectedError("no landmarks are known for it, and ingest.crop is landmarks")
        return aligned(landmarks, size, config.crop_margin)
    if config.crop == "none" and width != height:
        raise RejectedError(f"not square ({width} x {height}) and ingest.crop is none")
    if config.crop_size > short:
        raise RejectedError(f"too small ({width} x {height}) for ingest.crop_size {config.crop_size}")
    edge = config.crop_size or short
    return Region((width - edge) // 2 + edge / 2, (height - edge) // 2 + edge / 2, edge)


def around(box: Box, size: tuple[int, int], margin: float) -> Region:
    """The square around a box, moved (and if need be shrunk) into the picture.

    Args:
        box: x, y, width, height.
        size: width and height of the picture.
        margin: what to keep on each side, as a share of the box's longer edge.

    Raises:
        RejectedError: the box is empty or lies outside of the picture.
    """
    left, top, wide, high = box
    x, y = left + wide / 2, top + high / 2
    if wide <= 0 or high <= 0 or not (0 <= x <= size[0] and 0 <= y <= size[1]):
        raise RejectedError(f"the box {left}, {top}, {wide} x {high} is not in the picture ({size[0]} x {size[1]})")
    edge = min(max(wide, high) * (1 + 2 * margin), *size)
    return Region(min(max(x, edge / 2), size[0] - edge / 2), min(max(y, edge / 2), size[1] - edge / 2), edge)


def aligned(landmarks: Sequence[tuple[float, float]], size: tuple[int, int], margin: float) -> Region:
    """The square in which a face sits upright and of standard size: least squares over its landmarks.

    Args:
        landmarks: five points (eyes, nose, corners of the mouth) or two (the eyes).
        size: width and height of the picture.
        margin: what to keep around the face on each side, as a share of it.

    Raises:
        RejectedError: other landmarks than these, all in one place, or too far outside.
    """
    if len(landmarks) not in (2, 5):
        raise RejectedError(f"{len(landmarks)} landmarks; needed are two (eyes) or five (eyes, nose, mouth)")
    points = np.array([complex(*point) for point in landmarks])
    face = _FACE[: len(points)]
    # The best w = turn * z + shift in the complex plane is a similarity that cannot mirror (Umeyama 1991 in 2-D).
    off = face - face.mean()
    turn = complex(np.vdot(off, points - points.mean()) / np.vdot(off, off).real)
    centre = turn * (0.5 + 0.5j - complex(face.mean())) + complex(points.mean())
    edge = abs(turn) * (1 + 2 * margin)
    if not math.isfinite(edge) or edge < 2:
        raise RejectedError("the landmarks lie in one place")
    if not (0 <= centre.real <= size[0] and 0 <= centre.imag <= size[1]):
        raise RejectedError(f"the landmarks are not in the picture ({size[0]} x {size[1]})")
    return Region(centre.real, centre.imag, edge, math.atan2(turn.imag, turn.real))


def resized(image: Image.Image, kept: Region, size: int) -> Image.Image:
    """Cuts and resizes to size x size.

    Reduction filters with a Hamming kernel as wide as the reduction, so that nothing aliases: as sharp as a bicubic
    one, and in two thirds of its time. Enlarging uses a Lanczos kernel.
    What a turned square has outside of the picture is the picture's reflection.
    """
    half = kept.edge / 2
    box = (kept.x - half, kept.y - half, kept.x + half, kept.y + half)
    inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], image.width), min(box[3], image.height))
    if kept.angle != 0 or max(abs(a - b) for a, b in zip(box, inside, strict=True)) > 1:  # a pixel of rounding is none
        return _turned(image, kept, size)
    if inside == (0, 0, *image.size) and image.size == (size, size):
        return image
    return image.resize((size, size), _kernel(kept.edge / size), box=inside)


def _turned(image: Image.Image, kept: Region, size: int) -> Image.Image:
    """Resizes what surrounds the square with the filter that does not alias, then turns at the same scale."""
    reach = 0.75 * kept.edge  # half a diagonal, and the kernel
    left, top = max(math.floor(kept.x - reach), 0), max(math.floor(kept.y - reach), 0)
    right, bottom = min(math.ceil(kept.x + reach), image.width), min(math.ceil(kept.y + reach), image.height)
    wide, high = (max(round(extent * size / kept.edge), 1) for extent in (right - left, bottom - top))
    small = np.asarray(image.resize((wide, high), _kernel(kept.edge / size), box=(left, top, right, bottom)))
    around, half = size, size / 2
    x = (kept.x - left) * wide / (right - left) + around
    y = (kept.y - top) * high / (bottom - top) + around
    cos, sin = math.cos(kept.angle), math.sin(kept.angle)
    turn = (cos, -sin, x - cos * half + sin * half, sin, cos, y - sin * half - cos * half)
    padded = np.pad(small, [(around, around), (around, around), (0, 0)][: small.ndim], "symmetric")
    return Image.fromarray(padded).transform((size, size), Image.Transform.AFFINE, turn, Image.Resampling.BICUBIC)


def _kernel(reduction: float) -> Image.Resampling:
    return Image.Resampling.HAMMING if reduction > 1 else Image.Resampling.LANCZOS
