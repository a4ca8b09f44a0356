"""FID extrapolated to an infinite number of samples.

Chong & Forsyth (2020), "Effectively unbiased FID and Inception score and where to find them": the bias of FID falls
with 1/N, so that FIDs at several N determine the value at 1/N = 0. Here these are all samples and random pairs of
disjoint halves, which use every sample equally: the value is twice the FID of all samples less the mean FID of halves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.frechet import frechet_distance, gaussian, sample_influence
from faceforge.evaluation.metrics.moments import Gaussian

MIN_SAMPLES = 10_000  # halves then have the paper's smallest N, 5,000
SPLITS = 5


class Extrapolated(NamedTuple):
    """The extrapolated value, which may be slightly below 0 for equal distributions, and its standard error."""

    value: float
    error: float


def frechet_infinity(
    real: Gaussian, fake: NDArray[np.floating], seed: int = 0, splits: int = SPLITS, smallest: int = MIN_SAMPLES
) -> Extrapolated:
    """Frechet distance at infinitely many samples, and its standard error.

    The error covers the random choice of samples (the delta method and the spread of the splits), not that of the real
    images.

    Args:
        real: statistics of the real images; their bias remains.
        fake: features of samples (N, D), N at least `smallest`.
        seed: random seed of the halves.
        splits: number of random pairs of halves.
        smallest: least number of samples.

    Raises:
        FaceForgeError: too few samples.
    """
    if len(fake) < smallest:
        raise FaceForgeError(f"{len(fake):,} samples are too few to extrapolate FID; give at least {smallest:,}")
    rng = np.random.default_rng(seed)
    whole = frechet_distance(real.mean, real.covariance, *gaussian(fake))
    halves = np.empty((splits, 2))
    for split in range(splits):
        order, middle = rng.permutation(len(fake)), len(fake) // 2
        for side, rows in enumerate((order[:middle], order[middle : 2 * middle])):
            halves[split, side] = frechet_distance(real.mean, real.covariance, *gaussian(fake[rows]))
    influence = sample_influence(real.mean, real.covariance, fake)
    of_splits = halves.mean(axis=1).var(ddof=1) / splits if splits > 1 else 0.0
    return Extrapolated(float(2 * whole - halves.mean()), math.sqrt(influence.var() / len(fake) + of_splits))
