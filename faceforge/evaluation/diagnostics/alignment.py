"""Distance between images after alignment: robust to flips, rotation, zoom, shifts, crops and changes of colour.

Nearest neighbours are found in two stages. First every image is compared in a few coarse views (mirrored, rotated,
zoomed) with all candidates, by the correlation of small grey thumbnails. Then the best candidates are registered with
an affine transformation by maximising the enhanced correlation coefficient (Evangelidis & Psarakis (2008), "Parametric
image alignment using enhanced correlation coefficient maximization"), and compared in colour where both overlap.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.pixel_features import thumbnails
from faceforge.evaluation.metrics.blocks import map_blocks, slices

EDGE = 32  # pixels: larger images are averaged down
_COARSE, _COMPONENTS = 8, 48  # edge of the thumbnails of the first stage, and their principal components
_ROTATIONS, _ZOOMS, _SHIFTS = (-10.0, 10.0), (0.87, 1.15), (-0.1, 0.0, 0.1)
_CANDIDATES, _REGISTERED = 8, 2  # per image: compared in colour; the best of them registered
_ITERATIONS, _TOLERANCE = 15, 1e-3  # of the registration
_FILTER, _BLUR = 3, 1.2  # pixels: blur during registration, and of the images
_LEAST_OVERLAP = 0.5  # share of the pixels; below, two images count as different
_ROWS = 64  # images compared with all candidates at a time

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
        self._views = _views(self._images.shape[1])
        coarse = _correlated(np.stack([_thumbnail(image).T for image in self._images]))
        _, _, directions = np.linalg.svd(coarse[:: max(len(coarse) // 2000, 1)], full_matrices=False)
        self._directions = np.ascontiguousarray(directions[:_COMPONENTS].T)
        self._coarse = np.ascontiguousarray((coarse @ self._directions).T)

    def nearest(self, images: Images, *, exclude_self: bool = False) -> Aligned:
        """The nearest candidate of each image uint8 (N, S, S, C).

        With `exclude_self`, image i is candidate i and not its own neighbour (M at least 2).
        """
        smooth = _smooth(images)

        def search(rows: slice) -> list[tuple[float, int]]:
            own = np.arange(rows.start, rows.stop) if exclude_self else None
            return [self._register(*shortlisted) for shortlisted in self._shortlist(smooth[rows], own)]

        found = list(itertools.chain.from_iterable(map_blocks(search, slices(len(smooth), _ROWS))))
        return Aligned(np.array([pair[0] for pair in found]), np.array([pair[1] for pair in found], np.intp))

    def _shortlist(
        self, images: Floats, own: NDArray[np.intp] | None
    ) -> Iterator[tuple[Floats, NDArray[np.intp], NDArray[np.intp]]]:
        """Each image with its most correlated candidates (K,) and the view of the image in which they are (K,)."""
        count, everyone = self._coarse.shape[1], np.arange(len(images))
        channels = images.reshape(len(images), -1, images.shape[-1]).transpose(0, 2, 1)
        best = np.full((len(images), count), -2, np.float32)
        view_of_best = np.zeros(best.shape, np.int8)
        for number, thumbnail in enumerate(self._views.thumbnails):
            similarity = _correlated(channels @ thumbnail) @ self._directions @ self._coarse
            np.putmask(view_of_best, similarity > best, np.int8(number))
            np.maximum(best, similarity, out=best)
        if own is not None:
            best[everyone, own] = -2
            count -= 1
        chosen = min(_CANDIDATES, count)
        rows = np.argpartition(-best, chosen - 1, axis=1)[:, :chosen]
        return zip(images, rows, np.take_along_axis(view_of_best, rows, axis=1), strict=True)

    def _register(self, image: Floats, candidates: NDArray[np.intp], views: NDArray[np.intp]) -> tuple[float, int]:
        """The least distance of an image from its candidates, and the candidate; the best ones are registered first."""
        warps = self._views.warps[views]
        distances = _colour_distances(self._images[candidates], image, warps, self._views.inside[views])
        best = distances.argsort(kind="stable")[:_REGISTERED]
        candidates, distances, grey = candidates[best], distances[best], _grey(image)
        pairs = zip(candidates, warps[best], strict=True)
        refined = np.stack([_registered(self._grey[candidate], grey, warp) for candidate, warp in pairs])
        inside = np.stack([_inside(len(image), warp) for warp in refined])
        distances = np.minimum(distances, _colour_distances(self._images[candidates], image, refined, inside))
        nearest = distances.argmin()
        return float(distances[nearest]), int(candidates[nearest])


class _Views(NamedTuple):
    """The coarse views of an image of a certain size: shifted, rotated or zoomed about the centre, and mirrored.

    Attributes:
        warps: affine matrices float32 (V, 2, 3), from positions in the view to positions in the image.
        inside: which pixels of a view show a part of the image, bool (V, E, E).
        thumbnails: float32 (V, E * E, 64). A channel times such a matrix is the thumbnail of the view, because warping
            and averaging are linear.
    """

    warps: Floats
    inside: NDArray[np.bool_]
    thumbnails: Floats


@cache
def _views(edge: int) -> _Views:
    shifts = [(0.0, 1.0, dx, dy) for dx in _SHIFTS for dy in _SHIFTS]
    views = [*shifts, *((angle, 1.0, 0.0, 0.0) for angle in _ROTATIONS), *((0.0, zoom, 0.0, 0.0) for zoom in _ZOOMS)]
    centre = np.full(2, (edge - 1) / 2)
    warps = []
    for mirror, (angle, zoom, dx, dy) in itertools.product((1, -1), views):
        turn = np.deg2rad(angle)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
        matrix = np.diag([mirror, 1]) @ matrix
        warps.append(np.column_stack([matrix, centre - matrix @ centre + [dx * edge, dy * edge]]).astype(np.float32))
    pixels = np.eye(edge**2, dtype=np.float32).reshape(-1, edge, edge, 1)
    thumbnails = [[_thumbnail(_read(pixel, warp))[:, 0] for pixel in pixels] for warp in warps]
    return _Views(np.stack(warps), np.stack([_inside(edge, warp) for warp in warps]), np.array(thumbnails, np.float32))


def _registered(candidate: Floats, grey: Floats, warp: Floats) -> Floats:
    """The warp after registration of an image with a candidate; as it was if the registration does not converge."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _TOLERANCE)
    everywhere = np.ones(grey.shape, np.uint8)
    try:
        _, refined = cv2.findTransformECC(
            candidate, grey, warp.copy(), cv2.MOTION_AFFINE, criteria, everywhere, _FILTER
        )
    except cv2.error:
        return warp
    return np.asarray(refined, np.float32)


def _colour_distances(
    candidates: Floats, image: Floats, warps: Floats, inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distances (K,) of candidates (K, E, E, C) from an image (E, E, C) that is warped to each of them.

    1 - correlation per channel where the warped image overlaps the candidate, weighted by the channels' variance.
    """
    weights = inside.reshape(len(inside), -1, 1).astype(np.float32)
    overlap = weights.sum(axis=1)
    first = candidates.reshape(len(candidates), -1, image.shape[-1])
    second = np.stack([_read(image, warp) for warp in warps]).reshape(first.shape)

    def centred(values: Floats) -> Floats:
        means = np.einsum("kp,kpc->kc", weights[..., 0], values) / np.maximum(overlap, 1)
        return (values - means[:, None]) * weights

    first, second = centred(first), centred(second)
    variance, other, product = (
        np.einsum("kpc,kpc->kc", a, b).astype(np.float64)
        for a, b in ((first, first), (second, second), (first, second))
    )
    scale = np.sqrt(variance * other)
    correlation = np.divide(product, scale, out=np.zeros_like(scale), where=scale > 1e-6)
    total = variance.sum(axis=1)
    explained = (variance * correlation.clip(0)).sum(axis=1)
    share = np.divide(explained, total, out=np.zeros_like(total), where=total > 1e-6)
    return np.where(overlap[:, 0] < _LEAST_OVERLAP * inside[0].size, 1.0, np.maximum(1 - share, 0))


def _inside(edge: int, warp: Floats) -> NDArray[np.bool_]:
    """Which pixels of a warped image show a part of the image, (E, E)."""
    return cv2.warpAffine(np.ones((edge, edge), np.uint8), warp, (edge, edge), flags=_NEAREST).astype(bool)


def _read(image: Floats, warp: Floats) -> Floats:
    """The image read at warped positions; edges are repeated."""
    edge = image.shape[0]
    warped = cv2.warpAffine(image, warp, (edge, edge), flags=_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped.reshape(image.shape), np.float32)


def _smooth(images: Images) -> Floats:
    """Thumbnails float32 (N, E, E, C), slightly blurred so that noise and JPEG artefacts hardly count."""
    small = thumbnails(images, EDGE).astype(np.float32)
    return np.stack([cv2.GaussianBlur(image, (0, 0), _BLUR).reshape(small.shape[1:]) for image in small])


def _grey(images: Floats) -> Floats:
    return np.ascontiguousarray(images.mean(axis=-1))


def _thumbnail(image: Floats) -> Floats:
    """An image (E, E, C) averaged down to 8 x 8 pixels, (64, C)."""
    small = cv2.resize(image, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    return np.asarray(small.reshape(_COARSE**2, -1), np.float32)


def _correlated(thumbnails: Floats) -> Floats:
    """Thumbnails (N, C, 64) as rows (N, 64 C) whose products are correlations."""
    flat = (thumbnails - thumbnails.mean(axis=2, keepdims=True)).reshape(len(thumbnails), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
