"""Mode collapse: how much of the variety of the real images the samples cover.

Modes are counted as in Richardson & Weiss (2018), "On GANs and GMMs": the training images are clustered into bins. A
bin whose share of samples differs significantly from its share of real images is a mode that the model generates too
often or too rarely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.pixel_features import coarse_pixels
from faceforge.evaluation.metrics.blocks import map_blocks, slices
from faceforge.evaluation.metrics.distances import Points
from faceforge.models.sampling import draw_latents

MIN_IMAGES = 50  # of each kind
MIN_OF_CLASS = 10  # images of a class, real and generated, below which its diversity is left out
_PER_BIN = 20  # real images in a bin, on average
_MOST_BINS = 100
_ROUNDS = 15  # of k-means
_SIGNIFICANT = 1.959963984540054  # standard deviations: 5 % of the bins differ by more by chance
_BASES = 16  # latents around which the generator is probed
_MOST_PROBED = 128  # latent dimensions

_SPACES = "; pixels: of 16 px thumbnails; domain: features of the domain classifier"
DESCRIPTIONS = {
    "collapse/bins": "number of k-means clusters of the training images, the same in every space",
    "collapse/modes_...": "share of the clusters with at least one sample, from as many samples as holdout images"
    f"{_SPACES}",
    "collapse/uneven_...": "share of the clusters whose share of samples differs significantly (5 % level) from that of"
    f" the training images; 0.05 = as even as real images{_SPACES}",
    "collapse/diversity": "root mean square distance between samples of equal labels divided by that between real"
    " images of equal labels, on the pixels of 16 px thumbnails, mean over classes; 1 = as varied as real images; noise"
    " raises it",
    "collapse/diversity_lowest": "the same for the class with the lowest value",
    "collapse/latent_sensitivity": "root mean square change of the pixels, in grey levels, when one latent dimension is"
    " redrawn; 0 = the latent is ignored",
    "collapse/latent_dimensions": "effective number of latent dimensions that change the image (participation ratio of"
    " the changes)",
}


@dataclass(frozen=True)
class ClassDiversity:
    """Mean distance between samples of a class divided by that between real images; NaN = too few of either."""

    column: str
    name: str
    real_images: int
    samples: int
    diversity: float


@dataclass(frozen=True)
class Collapse:
    """Result of `collapse`.

    Attributes:
        metrics: by name; `..._floor` = the same for holdout images instead of samples.
        classes: diversity per class; empty without labels.
    """

    metrics: dict[str, float]
    classes: list[ClassDiversity]


def collapse(
    train: NDArray[np.uint8],
    holdout: tuple[NDArray[np.uint8], NDArray[np.integer]],
    fake: tuple[NDArray[np.uint8], NDArray[np.integer]],
    vocabularies: Mapping[str, Sequence[str]],
    spaces: Mapping[str, tuple[Points, Points, Points]] | None = None,
    *,
    seed: int = 0,
) -> Collapse:
    """Counts the modes that samples cover and measures their diversity per class.

    Args:
        train: training images uint8 (T, S, S, C), which are clustered into modes.
        holdout: holdout images uint8 (H, S, S, C) and label codes (H, columns).
        fake: samples (N, S, S, C) and their requested labels (N, columns), with the class frequencies of the holdout.
        vocabularies: label column -> classes, in the order of the columns of the codes; empty = no labels.
        spaces: name -> features (T, D), (H, D), (N, D) in which modes are counted too, besides the pixels.
        seed: random seed of the clustering.

    Raises:
        FaceForgeError: fewer than `MIN_IMAGES` of a kind.
    """
    if (fewest := min(len(train), len(holdout[0]), len(fake[0]))) < MIN_IMAGES:
        raise FaceForgeError(f"{fewest} images of a kind are too few to count modes, at least {MIN_IMAGES} are needed")
    count = min(len(holdout[0]), len(fake[0]))
    bins = min(count // _PER_BIN + 1, _MOST_BINS, len(train))
    metrics = {"collapse/bins": float(bins)}
    pixels = coarse_pixels(train), coarse_pixels(holdout[0]), coarse_pixels(fake[0])
    for name, (known, unseen, generated) in {"pixels": pixels, **(spaces or {})}.items():
        modes = _Modes.of(known, bins, seed) if np.isfinite(known).all() else None
        for suffix, features in (("", generated), ("_floor", unseen)):
            covered, uneven = modes.compare(features[:count]) if modes else (math.nan, math.nan)
            metrics |= {f"collapse/modes_{name}{suffix}": covered, f"collapse/uneven_{name}{suffix}": uneven}
    classes = [
        ClassDiversity(
            column=column,
            name=name,
            real_images=int((real := holdout[1][:, position] == code).sum()),
            samples=int((generated := fake[1][:, position] == code).sum()),
            diversity=_diversity(pixels[1][real], pixels[2][generated]),
        )
        for position, (column, names) in enumerate(vocabularies.items())
        for code, name in enumerate(names)
    ]
    known_classes = [row.diversity for row in classes if np.isfinite(row.diversity)]
    diversities = known_classes or [_diversity(*pixels[1:])]
    metrics["collapse/diversity"], metrics["collapse/diversity_lowest"] = float(np.mean(diversities)), min(diversities)
    return Collapse(metrics, classes)


def latent_sensitivity(
    generate: Callable[[NDArray[np.float32], NDArray[np.int32]], NDArray[np.uint8]],
    latent_size: int,
    labels: NDArray[np.int32],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """How strongly the images depend on the latent, and on how many of its dimensions; generates up to 2,064 images.

    Args:
        generate: latents float32 (N, latent_size) and labels (N, columns) -> images uint8 (N, H, W, C).
        latent_size: number of latent dimensions.
        labels: (M, columns), M at least 1; the labels to request, in turn.
        seed: random seed of the latents.

    Returns:
        `collapse/latent_sensitivity` and `collapse/latent_dimensions`.
    """
    bases, drawn = np.split(draw_latents(seed, 2 * _BASES, latent_size), 2)
    requested = labels[np.arange(_BASES) % len(labels)]
    rng = np.random.default_rng([seed, 6])
    probed = np.sort(rng.permutation(latent_size)[:_MOST_PROBED])
    changed = np.repeat(bases[None], len(probed), axis=0)
    changed[np.arange(len(probed)), :, probed] = drawn[:, probed].T
    before = generate(bases, requested).astype(np.float32)
    after = generate(changed.reshape(-1, latent_size), np.tile(requested, (len(probed), 1)))
    differences = after.reshape(len(probed), *before.shape).astype(np.float32) - before
    squares = (differences**2).mean(axis=(1, 2, 3, 4), dtype=np.float64)  # per probed dimension
    dimensions = squares.sum() ** 2 / (squares**2).sum() if squares.any() else 0.0
    return {
        "collapse/latent_sensitivity": float(np.sqrt(squares.mean())),
        "collapse/latent_dimensions": float(dimensions * latent_size / len(probed)),
    }


def clusters(points: Points, count: int, seed: int) -> Points:
    """Centres (count, D) of `points` (N, D), N at least `count`, by Lloyd's k-means from distinct random points."""
    centres = points[np.random.default_rng([seed, 7]).permutation(len(points))[:count]]
    for _ in range(_ROUNDS):
        rows = _nearest_centre(points, centres)
        sizes = np.bincount(rows, minlength=count)
        order = np.argsort(rows, kind="stable")
        filled = np.flatnonzero(sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[filled]
        moved = centres.copy()
        moved[filled] = np.add.reduceat(points[order], starts, axis=0) / sizes[filled, None]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _nearest_centre(points: Points, centres: Points) -> NDArray[np.intp]:
    """The row of the nearest of `centres` (M, D) for each of `points` (N, D).

    `neighbours.nearest` also computes distances exactly and in both directions; k-means needs neither.
    """
    lengths = (centres**2).sum(axis=1) / 2

    def search(part: slice) -> NDArray[np.intp]:
        return np.asarray((lengths - points[part] @ centres.T).argmin(axis=1))

    return np.concatenate(list(map_blocks(search, slices(len(points)))))


class _Modes(NamedTuple):
    """Clusters of real images and the number of real images in each."""

    middle: Points  # of all real images: around it rounding errors are smallest
    centres: Points
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, known: Points, bins: int, seed: int) -> _Modes:
        middle = known.mean(axis=0)
        centred = known - middle
        centres = clusters(centred, bins, seed)
        return cls(middle, centres, np.bincount(_nearest_centre(centred, centres), minlength=bins))

    def compare(self, features: Points) -> tuple[float, float]:
        """Share of the clusters that `features` cover, and share they fill unevenly; NaN if they are not finite."""
        if not np.isfinite(features).all():
            return math.nan, math.nan
        counts = np.bincount(_nearest_centre(features - self.middle, self.centres), minlength=len(self.centres))
        return float((counts > 0).mean()), float(_differs(counts, self.sizes).mean())


def _differs(first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which bins have significantly different shares in two histograms: the z test of two proportions."""
    n, m = first.sum(), second.sum()
    pooled = (first + second) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.abs(first / n - second / m) > _SIGNIFICANT * spread


def _diversity(real: Points, fake: Points) -> float:
    """Root mean square distance between two samples divided by that between two real images."""
    if min(len(real), len(fake)) < MIN_OF_CLASS:
        return float("nan")
    spreads = [part.var(axis=0, ddof=1, dtype=np.float64).sum() for part in (fake, real)]
    return float(np.sqrt(spreads[0] / spreads[1])) if spreads[1] > 0 else float("nan")
