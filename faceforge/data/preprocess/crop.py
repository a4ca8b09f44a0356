"""Chooses the square region of an image to keep (centred, around a box, or aligned to landmarks) and crops it.

Positions and sizes are in pixels, x to the right, y down. Landmark alignment is a similarity transform, so an aligned
region has an angle besides its centre and edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.resample import reduce_image

Box = tuple[float, float, float, float]
Landmarks = tuple[tuple[float, float], ...]

# Landmarks (eyes, tip of the nose, corners of the mouth) of a mean face one unit wide and high, as x + iy: the template
# of ArcFace (Deng et al. 2019), which is 112 pixels wide.
_TEMPLATE = np.array(
    [38.2946 + 51.6963j, 73.5318 + 51.5014j, 56.0252 + 71.7366j, 41.5493 + 92.3655j, 70.7299 + 92.2041j]
)
_TEMPLATE /= 112


class Region(NamedTuple):
    """A square region: its centre, its edge, and the angle by which it is rotated clockwise, in radians."""

    x: float
    y: float
    edge: float
    angle: float = 0.0

    def scaled(self, factor: float) -> Region:
        """The same region in an image that is `factor` times as large."""
        return Region(self.x * factor, self.y * factor, self.edge * factor, self.angle)


def crop_region(
    size: tuple[int, int], config: IngestConfig, box: Box | None, landmarks: Landmarks | None
) -> Region | None:
    """The region of an image that `ingest.crop` keeps, or None where a face has to be detected in the pixels first.

    Args:
        size: width and height.
        config: `crop`, `crop_size`, `crop_margin`.
        box: x, y, width, height of the annotated face, in pixels, or as shares of the image's width and height.
        landmarks: left eye, right eye (as the viewer sees them), nose, left and right corner of the mouth; or only the
            eyes.

    Raises:
        RejectedError: the image lacks the annotation, or is too small or not square, as that crop requires.
    """
    width, height = size
    short = min(size)
    if config.crop == "face" or (config.crop == "landmarks" and landmarks is None and config.face_model):
        return None
    if config.crop == "box":
        if box is None:
            raise RejectedError("it has no box, and ingest.crop is box")
        if max(box) <= 1:
            box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        return square_around_box(box, size, config.crop_margin)
    if config.crop == "landmarks":
        if landmarks is None:
            raise RejectedError("it has no landmarks, and ingest.crop is landmarks; ingest.face_model can find them")
        return align_to_landmarks(landmarks, size, config.crop_margin)
    if config.crop == "none" and width != height:
        raise RejectedError(f"not square ({width} x {height}), and ingest.crop is none")
    if config.crop_size > short:
        raise RejectedError(f"too small ({width} x {height}) for ingest.crop_size {config.crop_size}")
    edge = config.crop_size or short
    return Region((width - edge) // 2 + edge / 2, (height - edge) // 2 + edge / 2, edge)


def square_around_box(box: Box, size: tuple[int, int], margin: float) -> Region:
    """The square around a box, shifted (and if necessary shrunk) to lie inside the image.

    Args:
        box: x, y, width, height.
        size: width and height of the image.
        margin: what to keep on each side, as a share of the box's longer edge.

    Raises:
        RejectedError: the box is empty or lies outside the image.
    """
    left, top, box_width, box_height = box
    x, y = left + box_width / 2, top + box_height / 2
    if box_width <= 0 or box_height <= 0 or not (0 <= x <= size[0] and 0 <= y <= size[1]):
        raise RejectedError(
            f"the box {left:g}, {top:g}, {box_width:g} x {box_height:g} is outside the image ({size[0]} x {size[1]})"
        )
    edge = min(max(box_width, box_height) * (1 + 2 * margin), *size)
    return Region(min(max(x, edge / 2), size[0] - edge / 2), min(max(y, edge / 2), size[1] - edge / 2), edge)


def align_to_landmarks(landmarks: Sequence[tuple[float, float]], size: tuple[int, int], margin: float) -> Region:
    """The region in which a face is upright and of standard size, by least squares over its landmarks.

    Args:
        landmarks: five points (eyes, nose, corners of the mouth) or two (the eyes).
        size: width and height of the image.
        margin: what to keep around the face on each side, as a share of the face's edge.

    Raises:
        RejectedError: another number of landmarks, all in one place, or centred outside the image.
    """
    if len(landmarks) not in (2, 5):
        raise RejectedError(f"it has {len(landmarks)} landmarks; two (eyes) or five (eyes, nose, mouth) are needed")
    points = np.array([complex(*point) for point in landmarks])
    template = _TEMPLATE[: len(points)]
    # The least-squares fit of w = rotation * z + shift in the complex plane is a similarity without reflection
    # (Umeyama 1991, in two dimensions).
    centred = template - template.mean()
    rotation = complex(np.vdot(centred, points - points.mean()) / np.vdot(centred, centred).real)
    centre = rotation * (0.5 + 0.5j - complex(template.mean())) + complex(points.mean())
    edge = abs(rotation) * (1 + 2 * margin)
    if not math.isfinite(edge) or edge < 2:
        raise RejectedError("all its landmarks are in one place")
    if not (0 <= centre.real <= size[0] and 0 <= centre.imag <= size[1]):
        raise RejectedError(f"its landmarks are outside the image ({size[0]} x {size[1]})")
    return Region(centre.real, centre.imag, edge, math.atan2(rotation.imag, rotation.real))


def crop_and_resize(image: Image.Image | Pixels, region: Region, size: int) -> Pixels:
    """Crops a region of an image and resizes it to `size` x `size` pixels.

    Downscaling filters with a Hamming kernel as wide as the reduction, so that nothing aliases; it is as sharp as a
    bicubic kernel and takes two thirds of its time. Upscaling uses a Lanczos kernel. Where a rotated region reaches
    beyond the image, the image is reflected.

    Args:
        image: in mode L or RGB, or its pixels, uint8 (H, W) or (H, W, 3).
        region: what to keep.
        size: edge of the result.

    Returns:
        uint8 (size, size) or (size, size, 3).
    """
    width, height = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    half = region.edge / 2
    box = (region.x - half, region.y - half, region.x + half, region.y + half)
    clipped = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height))
    beyond = max(abs(a - b) for a, b in zip(box, clipped, strict=True))
    upright = region.angle == 0 and beyond <= 1  # up to one pixel beyond the border is rounding
    if upright and region.edge > size and not isinstance(image, Image.Image):
        return reduce_image(image, clipped, size)
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if not upright:
        return np.asarray(_rotate_and_resize(image, region, size))
    if clipped == (0, 0, *image.size) and image.size == (size, size):
        return np.asarray(image)
    return np.asarray(image.resize((size, size), _kernel(region.edge / size), box=clipped))


def _rotate_and_resize(image: Image.Image, region: Region, size: int) -> Image.Image:
    """Resizes the surroundings of the region with a filter that does not alias, then rotates at that scale."""
    reach = 0.75 * region.edge  # half the diagonal, plus the width of the kernel
    left, top = max(math.floor(region.x - reach), 0), max(math.floor(region.y - reach), 0)
    right, bottom = min(math.ceil(region.x + reach), image.width), min(math.ceil(region.y + reach), image.height)
    width, height = (max(round(extent * size / region.edge), 1) for extent in (right - left, bottom - top))
    small = np.asarray(image.resize((width, height), _kernel(region.edge / size), box=(left, top, right, bottom)))
    padding, half = size, size / 2
    x = (region.x - left) * width / (right - left) + padding
    y = (region.y - top) * height / (bottom - top) + padding
    # Pillow's affine transform maps output pixels to input pixels: rotate about the region's centre, now at (x, y).
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    inverse = (cos, -sin, x - cos * half + sin * half, sin, cos, y - sin * half - cos * half)
    padded = np.pad(small, [(padding, padding), (padding, padding), (0, 0)][: small.ndim], "symmetric")
    return Image.fromarray(padded).transform((size, size), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC)


def _kernel(reduction: float) -> Image.Resampling:
    return Image.Resampling.HAMMING if reduction > 1 else Image.Resampling.LANCZOS
