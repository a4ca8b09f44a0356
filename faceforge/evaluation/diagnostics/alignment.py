"""Distance between images after alignment: robust to flips, rotation, zoom, shifts, crops and changes of colour.

Nearest neighbours are found in two stages. First every image is compared in a few coarse views (mirrored, rotated,
zoomed) with all candidates, by the correlation of small grey thumbnails. Then the best candidates are registered with
an affine transformation by maximising the enhanced correlation coefficient (Evangelidis & Psarakis (2008), "Parametric
image alignment using enhanced correlation coefficient maximization"), and compared in colour where both overlap.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import map_ordered
from faceforge.evaluation.diagnostics.pixel_features import thumbnails

EDGE = 32  # pixels: larger images are averaged down
_COARSE, _COMPONENTS = 8, 48  # edge of the thumbnails of the first stage, and their principal components
_ROTATIONS, _ZOOMS, _SHIFTS = (-10.0, 10.0), (0.87, 1.15), (-0.1, 0.0, 0.1)
_CANDIDATES, _REGISTERED = 8, 2  # per image: compared in colour; the best of them registered
_ITERATIONS, _TOLERANCE = 15, 1e-3  # of the registration
_FILTER, _BLUR = 3, 1.2  # pixels: blur during registration, and of the images
_LEAST_OVERLAP = 0.5  # share of the pixels; below, two images count as different
_ROWS = 256  # images compared with all candidates at a time

_LINEAR, _NEAREST = (kind | cv2.WARP_INVERSE_MAP for kind in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Aligned(NamedTuple):
    """For every image its nearest candidate.

    Attributes:
        distance: float64 (N,) in [0, 1]: 1 - correlation of the colours after alignment; 0 = the same picture.
        row: position of the candidate, (N,).
    """

    distance: NDArray[np.float64]
    row: NDArray[np.intp]


class AlignedIndex:
    """Candidate images, prepared for searches."""

    def __init__(self, images: Images) -> None:
        """Prepares candidates uint8 (M, S, S, C), M at least 1."""
        self._images = _smooth(images)
        self._grey = _grey(self._images)
        coarse = _coarse(self._images)
        _, _, directions = np.linalg.svd(coarse[:: max(len(coarse) // 2000, 1)], full_matrices=False)
        self._directions = np.ascontiguousarray(directions[:_COMPONENTS].T)
        self._coarse = np.ascontiguousarray((coarse @ self._directions).T)

    def nearest(self, images: Images, *, exclude_self: bool = False) -> Aligned:
        """The nearest candidate of each image uint8 (N, S, S, C).

        With `exclude_self`, image i is candidate i and not its own neighbour (M at least 2).
        """
        smooth = _smooth(images)
        candidates, views = self._shortlist(smooth, exclude_self)
        warps = _warps(smooth.shape[1])

        def register(row: int) -> tuple[float, int]:
            options = sorted(
                (_colour_distance(self._images[candidate], smooth[row], warps[view]), int(candidate), int(view))
                for candidate, view in zip(candidates[row], views[row], strict=True)
            )
            grey = _grey(smooth[row])
            return min(
                (min(distance, self._registered(smooth[row], grey, candidate, warps[view])), candidate)
                for distance, candidate, view in options[:_REGISTERED]
            )

        pairs = list(map_ordered(register, range(len(images))))
        return Aligned(np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs], np.intp))

    def _shortlist(self, images: NDArray[np.float32], exclude_self: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The most correlated candidates of each image and the view of the image, each (N, K)."""
        total = self._coarse.shape[1]
        count = min(_CANDIDATES, total - exclude_self)
        parts = []
        for start in range(0, len(images), _ROWS):
            part = images[start : start + _ROWS]
            best = np.full((len(part), total), -2, np.float32)
            view_of_best = np.zeros(best.shape, np.int8)
            for number, warp in enumerate(_warps(images.shape[1])):
                view = _coarse(np.stack([_read(image, warp) for image in part]))
                similarity = (view @ self._directions) @ self._coarse
                np.putmask(view_of_best, similarity > best, np.int8(number))
                np.maximum(best, similarity, out=best)
            if exclude_self:
                best[np.arange(len(part)), np.arange(start, start + len(part))] = -2
            rows = np.argpartition(-best, count - 1, axis=1)[:, :count]
            parts.append((rows, np.take_along_axis(view_of_best, rows, axis=1)))
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([views for _, views in parts])

    def _registered(self, image: Floats, grey: Floats, candidate: int, warp: Floats) -> float:
        """Distance of an image from a candidate after registration from an initial warp; 1 if it does not converge."""
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _TOLERANCE)
        everywhere = np.ones(grey.shape, np.uint8)
        try:
            _, refined = cv2.findTransformECC(
                self._grey[candidate], grey, warp.copy(), cv2.MOTION_AFFINE, criteria, everywhere, _FILTER
            )
        except cv2.error:
            return 1.0
        return _colour_distance(self._images[candidate], image, np.asarray(refined, np.float32))


def _colour_distance(candidate: Floats, image: Floats, warp: Floats) -> float:
    """1 - correlation per channel where the warped image overlaps the candidate, weighted by the channels' variance."""
    edge = image.shape[0]
    inside = cv2.warpAffine(np.ones((edge, edge), np.uint8), warp, (edge, edge), flags=_NEAREST).astype(bool)
    if inside.mean() < _LEAST_OVERLAP:
        return 1.0
    first, second = candidate[inside], _read(image, warp)[inside]
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    variance = (first**2).sum(axis=0)
    scale = np.sqrt(variance * (second**2).sum(axis=0))
    correlation = np.divide((first * second).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 1e-6)
    total = variance.sum()
    return float(max(1 - (variance * correlation.clip(0)).sum() / total, 0)) if total > 1e-6 else 1.0


def _read(image: Floats, warp: Floats) -> Floats:
    """The image read at warped positions; edges are repeated."""
    edge = image.shape[0]
    warped = cv2.warpAffine(image, warp, (edge, edge), flags=_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped.reshape(image.shape), np.float32)


def _warps(edge: int) -> list[Floats]:
    """Affine matrices (2, 3) of the coarse views: shifted, rotated or zoomed about the centre, and mirrored."""
    shifts = [(0.0, 1.0, dx, dy) for dx in _SHIFTS for dy in _SHIFTS]
    views = [*shifts, *((angle, 1.0, 0.0, 0.0) for angle in _ROTATIONS), *((0.0, zoom, 0.0, 0.0) for zoom in _ZOOMS)]
    centre = np.full(2, (edge - 1) / 2)
    warps = []
    for mirror, (angle, zoom, dx, dy) in itertools.product((1, -1), views):
        turn = np.deg2rad(angle)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
        matrix = np.diag([mirror, 1]) @ matrix
        warps.append(np.column_stack([matrix, centre - matrix @ centre + [dx * edge, dy * edge]]).astype(np.float32))
    return warps


def _smooth(images: Images) -> Floats:
    """Thumbnails float32 (N, E, E, C), slightly blurred so that noise and JPEG artefacts hardly count."""
    small = thumbnails(images, EDGE).astype(np.float32)
    return np.stack([cv2.GaussianBlur(image, (0, 0), _BLUR).reshape(small.shape[1:]) for image in small])


def _grey(images: Floats) -> Floats:
    return np.ascontiguousarray(images.mean(axis=-1))


def _coarse(images: Floats) -> Floats:
    """Colour thumbnails (N, 64 C), every channel of zero mean, of unit length: their products are correlations."""
    size = (_COARSE, _COARSE)
    small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(64, -1) for image in images])
    small -= small.mean(axis=1, keepdims=True)
    flat = small.reshape(len(small), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
