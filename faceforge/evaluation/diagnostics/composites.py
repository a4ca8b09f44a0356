"""Images composed of candidates: a part copied from one of them, its brightness alone, or a blend of two.

Both searches work on small images and have two stages: the best match by principal components, then its exact distance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.pixel_features import thumbnails
from faceforge.evaluation.metrics.blocks import map_blocks, slices

EDGE = 16  # pixels: larger images are averaged down
_COMPONENTS = 32  # principal components of the first stage
_SAMPLE = 2000  # images that they are computed from
_SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # pixels of the small images
_PARTNERS = 48  # nearest candidates of an image that are tried as one part of a blend
_WEIGHTS = (0.5, 0.6, 0.7)  # of that candidate, in the first stage
_ROWS = 64  # images at a time: their distances from all candidates stay in a core's cache

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Match(NamedTuple):
    """For every image and part of it, the nearest candidate and its distance; both of shape (N, parts)."""

    distance: NDArray[np.float64]
    row: NDArray[np.intp]


class PartIndex:
    """Candidates, prepared for searches for a copied half, quarter or centre, or for copied brightness.

    A part is compared with the same part of the candidates, after its mean colour is removed; also mirrored, and
    shifted by a pixel of the small images. Brightness is compared over the whole image, whatever its contrast.
    """

    def __init__(self, images: Images) -> None:
        """Prepares candidates uint8 (M, S, S, C), M at least 2."""
        small = _small(images)
        self._parts = _parts(small.shape[1])
        self._projections = list(map_blocks(lambda part: _Projection(part(small)), self._parts))

    def nearest(self, images: Images, *, exclude_self: bool = False) -> Match:
        """The nearest candidate to each part of images uint8 (N, S, S, C).

        With `exclude_self`, image i is candidate i and not its own neighbour.
        """
        small = _small(images)
        views = [np.roll(side, shift, axis=(1, 2)) for side in _mirrored(small) for shift in _SHIFTS]
        found = [
            projection.nearest([part(view) for view in views], exclude_self)
            for part, projection in zip(self._parts, self._projections, strict=True)
        ]
        return Match(np.stack([part.distance for part in found], 1), np.stack([part.row for part in found], 1))


class BlendIndex:
    """Candidates, prepared for searches for blends: w a + (1 - w) b for two candidates a and b, w from 0.3 to 0.7.

    Mean colours are removed, and the blend may be mirrored.
    """

    def __init__(self, images: Images) -> None:
        """Prepares candidates uint8 (M, S, S, C), M at least 3."""
        self._projection = _Projection(_centred(_small(images)))

    def nearest(self, images: Images, *, exclude_self: bool = False) -> Match:
        """The blend nearest to each image uint8 (N, S, S, C); one part, and the row is that of one candidate.

        With `exclude_self`, image i is candidate i and not part of its own blend.
        """
        sides = [self._of_side(_centred(side), exclude_self) for side in _mirrored(_small(images))]
        nearer = np.argmin([side.distance for side in sides], axis=0)
        return Match(*(np.choose(nearer, column)[:, None] for column in zip(*sides, strict=True)))

    def _of_side(self, points: Floats, exclude_self: bool) -> Match:
        def match(block: slice) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
            return self._of_rows(points[block], np.arange(block.start, block.stop) if exclude_self else None)

        return Match(*map(np.concatenate, zip(*map_blocks(match, slices(len(points), _ROWS)), strict=True)))

    def _of_rows(self, points: Floats, own: NDArray[np.intp] | None) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        index, count = self._projection, len(points)
        everyone = np.arange(count)
        coordinates = index.project(points)
        squared = index.squared(coordinates)
        if own is not None:
            squared[everyone, own] = np.inf
        partners = min(_PARTNERS, len(index.points) - 1 - (own is not None))
        firsts = np.argpartition(squared, partners - 1, axis=1)[:, :partners]
        best = np.full(count, np.inf, np.float32)
        pair = np.zeros((2, count), np.intp)
        rest = squared  # its memory is used again
        for first in firsts.T:
            for weight in _WEIGHTS:
                target = (coordinates - weight * index.coordinates[first]) / (1 - weight)
                index.relative(target, out=rest)
                rest[everyone, first] = np.inf
                if own is not None:
                    rest[everyone, own] = np.inf
                second = rest.argmin(axis=1)
                distance = (rest[everyone, second] + (target**2).sum(axis=1)) * (1 - weight) ** 2
                better = distance < best
                best[better], pair[:, better] = distance[better], np.stack([first, second])[:, better]
        return _distance_from_blend(points, *index.points[pair]), pair[0]


class _Projection:
    """Points (M, D) and their principal components."""

    def __init__(self, points: Floats) -> None:
        self.points = points
        some = points[:: max(len(points) // _SAMPLE, 1)]
        self._centre = some.mean(axis=0)
        self._directions = _principal_directions(some - self._centre)
        self.coordinates = self.project(points)
        self._columns = np.vstack([self.coordinates.T, (self.coordinates**2).sum(axis=1)])

    def project(self, points: Floats) -> Floats:
        """Coordinates (N, components)."""
        return np.asarray((points - self._centre) @ self._directions, np.float32)

    def squared(self, coordinates: Floats) -> Floats:
        """Squared distances (N, M) of coordinates from those of all points."""
        return self.relative(coordinates) + (coordinates**2).sum(axis=1, keepdims=True)

    def relative(self, coordinates: Floats, out: Floats | None = None) -> Floats:
        """Squared distances (N, M) less the squared lengths of the coordinates: the same order, in one product."""
        rows = np.column_stack([-2 * coordinates, np.ones(len(coordinates), np.float32)])
        return np.matmul(rows, self._columns, out=out)

    def nearest(self, views: list[Floats], exclude_self: bool) -> Match:
        """The nearest point to N others, of each of which there are several views (N, D); distance and row (N,)."""

        def match(block: slice) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
            own = np.arange(block.start, block.stop) if exclude_self else None
            return self._of_rows([view[block] for view in views], own)

        return Match(*map(np.concatenate, zip(*map_blocks(match, slices(len(views[0]), _ROWS)), strict=True)))

    def _of_rows(
        self, views: list[Floats], own: NDArray[np.intp] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        count = len(views[0])
        everyone = np.arange(count)
        best, row, chosen = np.full(count, np.inf, np.float32), np.zeros(count, np.intp), views[0].copy()
        relative = np.empty((count, len(self.points)), np.float32)
        for view in views:
            coordinates = self.project(view)
            self.relative(coordinates, out=relative)
            if own is not None:
                relative[everyone, own] = np.inf
            lowest = relative.argmin(axis=1)
            distance = relative[everyone, lowest] + (coordinates**2).sum(axis=1)
            better = distance < best
            best[better], row[better], chosen[better] = distance[better], lowest[better], view[better]
        return np.linalg.norm((chosen - self.points[row]).astype(np.float64), axis=1), row


def _principal_directions(centred: Floats) -> Floats:
    """The first principal directions (D, components) of centred points (N, D)."""
    count, dimensions = centred.shape
    if count <= dimensions:
        directions = np.linalg.svd(centred, full_matrices=False)[2].T
    else:  # eigenvectors of a small matrix in place of singular vectors of a large one
        directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))[1][:, ::-1]
    return np.ascontiguousarray(directions[:, :_COMPONENTS], np.float32)


def _distance_from_blend(points: Floats, first: Floats, second: Floats) -> NDArray[np.float64]:
    """Distance of each point from the segment between 0.3 and 0.7 of the way from `second` to `first`."""
    step = (first - second).astype(np.float64)
    offset = points - second.astype(np.float64)
    weight = (offset * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-12)
    limit = max(_WEIGHTS)
    return np.asarray(np.linalg.norm(offset - np.clip(weight, 1 - limit, limit)[:, None] * step, axis=1))


def _parts(edge: int) -> list[Callable[[Floats], Floats]]:
    """What is compared: four halves, four quarters, the middle rows, the centre, and the brightness of all pixels."""
    whole, halves = slice(0, edge), (slice(0, edge // 2), slice(edge // 2, edge))
    middle = slice(edge // 4, edge - edge // 4)
    places = [
        (middle, whole),
        (middle, middle),
        *((half, whole) for half in halves),
        *((whole, half) for half in halves),
        *((top, left) for top in halves for left in halves),
    ]
    return [*(partial(_centred, place=place) for place in places), _brightness]


def _mirrored(small: Floats) -> tuple[Floats, Floats]:
    return small, small[:, :, ::-1]


def _centred(small: Floats, place: tuple[slice, slice] = (slice(None), slice(None))) -> Floats:
    """Rows and columns of every image without their mean colour, (N, D)."""
    values = small[:, place[0], place[1]]
    return np.ascontiguousarray((values - values.mean(axis=(1, 2), keepdims=True)).reshape(len(small), -1))


def _brightness(small: Floats) -> Floats:
    """Mean over the channels of every pixel, of zero mean and unit length over the image, (N, D)."""
    grey = _centred(small.mean(axis=3, keepdims=True))
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)


def _small(images: Images) -> Floats:
    return thumbnails(images, EDGE).astype(np.float32)
