"""Statistics of a training split that fit in `dataset.json`, so that later sets can be compared with it.

Sums are accumulated as integers, image by image: memory is constant, and the result does not depend on the order.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.info import Distribution, Statistics, ThumbnailMoments
from faceforge.data.pixels import Encoded
from faceforge.data.preprocess.measures import Measures

_BATCH = 512


def _edges() -> dict[str, NDArray[np.float64]]:
    """Bin edges of the histograms; fixed, so that different sets can be compared bin by bin."""
    sizes = 2.0 ** (np.arange(2 * 4, 14 * 4 + 1) / 4)  # 4 to 16,384 px, four bins per doubling
    return {
        "width": sizes,
        "height": sizes,
        "brightness": np.linspace(0, 1, 41),
        "contrast": np.linspace(0, 0.5, 41),
        "sharpness": 2.0 ** (np.arange(0, 16 * 2 + 1) / 2),  # 1 to 65,536, two bins per doubling
    }


EDGES = _edges()


class StatisticsBuilder:
    """Accumulates the statistics of a training split.

    Args:
        channels: 1 or 3.
        image_size: edge of the images.
    """

    def __init__(self, channels: int, image_size: int) -> None:
        self._pixels, self._edge = 0, image_size
        self._sums = np.zeros(channels, object)  # Python integers, which do not overflow
        self._squares = np.zeros(channels, object)
        self._waiting: list[Measures] = []
        self._counts = {name: np.zeros(len(edges) - 1, np.int64) for name, edges in EDGES.items()}
        self._thumbnails = 0
        self._first: NDArray[np.int64] | None = None  # sums over thumbnails
        self._second: NDArray[np.int64] | None = None  # sums of their products

    def add(self, image: Encoded, measures: Measures | None = None) -> None:
        """Adds one image of the training split; `measures` is None for augmented images."""
        self._pixels += self._edge**2
        self._sums += np.array(image.sums, object)
        self._squares += np.array(image.squares, object)
        if measures is not None:
            self._waiting.append(measures)
            if len(self._waiting) == _BATCH:
                self._count_waiting()

    def add_many(self, sums: NDArray[np.int64], squares: NDArray[np.int64], measures: Mapping[str, Any]) -> None:
        """Adds many images of the training split.

        Args:
            sums: `Encoded.sums` of each image; (N, channels).
            squares: `Encoded.squares` of each image; (N, channels).
            measures: the fields of `Measures` by name, N values each.
        """
        self._pixels += len(sums) * self._edge**2
        self._sums += sums.sum(0).astype(object)
        self._squares += squares.sum(0).astype(object)
        self._count(measures)

    def finish(self) -> Statistics:
        """The statistics of all images added."""
        self._count_waiting()
        pixels = max(self._pixels, 1)
        means = [total / pixels / 255 for total in self._sums]
        squares = [total / pixels / 255**2 for total in self._squares]
        deviations = [max(square - mean**2, 0) ** 0.5 for square, mean in zip(squares, means, strict=True)]
        return Statistics(
            mean=means,
            std=deviations,
            distributions={} if self._second is None else self._distributions(),
            thumbnails=None if self._second is None else self._moments(self._first, self._second),
        )

    def _count_waiting(self) -> None:
        if self._waiting:
            self._count(dict(zip(Measures._fields, zip(*self._waiting, strict=True), strict=True)))
            self._waiting = []

    def _count(self, measures: Mapping[str, Any]) -> None:
        for name, edges in EDGES.items():
            bins = np.searchsorted(edges, np.array(measures[name], float), "right") - 1
            self._counts[name] += np.bincount(bins.clip(0, len(edges) - 2), minlength=len(edges) - 1)
        thumbnails = np.frombuffer(b"".join(measures["thumbnail"]), np.uint8)
        thumbnails = thumbnails.reshape(len(measures["thumbnail"]), -1).astype(np.int64)
        if self._first is None or self._second is None:
            self._first = np.zeros(thumbnails.shape[1], np.int64)
            self._second = np.zeros((thumbnails.shape[1], thumbnails.shape[1]), np.int64)
        self._first += thumbnails.sum(0)
        self._second += thumbnails.T @ thumbnails
        self._thumbnails += len(thumbnails)

    def _distributions(self) -> dict[str, Distribution]:
        return {
            name: Distribution(edges=[round(float(edge), 4) for edge in EDGES[name]], counts=counts.tolist())
            for name, counts in self._counts.items()
        }

    def _moments(self, first: Any, second: Any) -> ThumbnailMoments:
        mean = first / self._thumbnails
        covariance = second / self._thumbnails - np.outer(mean, mean)
        return pack_moments(self._thumbnails, mean / 255, covariance / 255**2)


def pack_moments(count: int, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> ThumbnailMoments:
    """Packs mean (K,) and covariance (K, K) of `count` thumbnails, values 0..1, for `dataset.json`."""
    values = np.concatenate([mean, covariance[np.triu_indices(len(mean))]]).astype("<f4")
    return ThumbnailMoments(count=count, size=len(mean), packed=base64.b64encode(values.tobytes()).decode())


def unpack_moments(moments: ThumbnailMoments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean float64 (K,) and covariance float64 (K, K) from `dataset.json`."""
    values = np.frombuffer(base64.b64decode(moments.packed), "<f4").astype(np.float64)
    covariance = np.zeros((moments.size, moments.size))
    covariance[np.triu_indices(moments.size)] = values[moments.size :]
    return values[: moments.size], covariance + np.triu(covariance, 1).T
