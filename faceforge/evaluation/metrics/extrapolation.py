"""FID at an infinite number of samples.

Chong & Forsyth (2020), "Effectively unbiased FID and Inception score and where to find them": the bias of FID falls
with 1/N, so a line through FIDs at several N, read at 1/N = 0, is rid of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.frechet import frechet_distance, gaussian
from faceforge.evaluation.metrics.moments import Gaussian

MIN_SAMPLES = 5000  # the paper's smallest N; below, the line is no line
POINTS = 15


class Extrapolated(NamedTuple):
    """The intercept and how sure the line is of it; it may be slightly below 0 for equal distributions."""

    value: float
    error: float  # standard error of the intercept


def frechet_infinity(
    real: Gaussian, fake: NDArray[np.floating], seed: int = 0, points: int = POINTS, smallest: int = MIN_SAMPLES
) -> Extrapolated:
    """Frechet distances of random subsets of samples, evenly spaced in their size, extrapolated.

    Args:
        real: what is compared with, as it is: its own bias remains.
        fake: features of samples (N, D), N above `smallest`.
        seed: of the subsets.
        points: how many subsets.
        smallest: rows of the smallest subset.

    Raises:
        FaceForgeError: too few samples.
    """
    if len(fake) <= smallest:
        raise FaceForgeError(f"{len(fake):,} samples are too few to extrapolate; give more than {smallest:,}")
    rng = np.random.default_rng(seed)
    sizes = np.linspace(smallest, len(fake), points).astype(int)
    distances = [
        frechet_distance(real.mean, real.covariance, *gaussian(fake[rng.choice(len(fake), size, replace=False)]))
        for size in sizes
    ]
    design = np.stack([np.ones(points), 1 / sizes], axis=1)
    line, *_ = np.linalg.lstsq(design, np.array(distances), rcond=None)
    residual = np.array(distances) - design @ line
    variance = residual @ residual / max(points - 2, 1) * np.linalg.inv(design.T @ design)[0, 0]
    return Extrapolated(float(line[0]), float(np.sqrt(variance)))
