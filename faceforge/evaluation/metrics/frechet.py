"""The Frechet distance between two Gaussians, in any feature space.

Dowson & Landau (1982), "The Frechet distance between multivariate normal distributions"; used on network features by
Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash equilibrium".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.moments import Moments

Matrix = NDArray[np.float64]


def frechet_from_features(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features.

    Args:
        first, second: (N, D) and (M, D), N and M at least 2. Fewer rows than D are allowed (singular covariance),
            but the result is then strongly biased upwards; compare only results of equal N, M and D.

    Returns:
        A float >= 0, or NaN when a feature is not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise FaceForgeError(
            f"features of shapes {first.shape} and {second.shape} cannot be compared; give (N, D) and (M, D)"
        )
    if min(len(first), len(second)) < 2:
        raise FaceForgeError(f"{len(first)} and {len(second)} samples have no covariance; give at least 2 of each")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    return frechet_distance(*gaussian(first), *gaussian(second))


def gaussian(features: NDArray[np.floating]) -> tuple[Matrix, Matrix]:
    """Mean (D,) and unbiased covariance (D, D) of features (N, D), both float64."""
    fitted = Moments.of(features).gaussian
    return fitted.mean, fitted.covariance


def frechet_distance(mean1: Matrix, cov1: Matrix, mean2: Matrix, cov2: Matrix) -> float:
    """|mean1 - mean2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)), float64, >= 0; NaN when an argument is not finite.

    The trace of the root is the sum of the roots of the eigenvalues of F' cov2 F, where F F' = cov1: a symmetric
    problem, which is exact for singular covariances too, where an iterative matrix square root fails.
    """
    if not all(np.isfinite(part).all() for part in (mean1, cov1, mean2, cov2)):
        return float("nan")
    factor = _factor(cov1)
    products = np.linalg.eigvalsh(factor.T @ (cov2 @ factor))
    # Eigenvalues below rounding error are zeros; their roots (1e-16 -> 1e-8 each) would not be.
    trace_of_root = np.sqrt(products[products > _noise(products)]).sum()
    distance = ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * trace_of_root
    return max(float(distance), 0.0)


class FrechetInfluence(NamedTuple):
    """A Frechet distance and the influence of every row on it.

    Attributes:
        distance: as `frechet_from_features`.
        first, second: (N,) and (M,), of mean 0. The variance of each, divided by its number of rows, is what that set
            contributes to the variance of the distance, to first order (the delta method).
    """

    distance: float
    first: Matrix
    second: Matrix


def frechet_influence(first: NDArray[np.floating], second: NDArray[np.floating]) -> FrechetInfluence:
    """The Frechet distance of features (N, D) and (M, D), both finite, and the influence of every row.

    The gradient with respect to the second mean is 2 (mean2 - mean1), that with respect to the second covariance is
    I - F (F' cov2 F)^(-1/2) F', where F F' = cov1; and likewise for the first.
    """
    one, other = gaussian(first), gaussian(second)
    return FrechetInfluence(
        frechet_distance(*one, *other), sample_influence(*other, first), sample_influence(*one, second)
    )


def sample_influence(mean: Matrix, covariance: Matrix, samples: NDArray[np.floating]) -> Matrix:
    """Influence (N,) of every sample (N, D) on its Frechet distance from a Gaussian; see `FrechetInfluence`."""
    sample_mean, sample_covariance = gaussian(samples)
    return _influence(samples - sample_mean, sample_mean - mean, _transport(covariance, sample_covariance))


def _influence(centred: NDArray[np.floating], apart: Matrix, transport: Matrix) -> Matrix:
    squares = (centred**2).sum(axis=1) - ((centred @ transport) * centred).sum(axis=1)
    influence: Matrix = 2 * (centred @ apart) + squares - squares.mean()
    return influence


def _transport(source: Matrix, target: Matrix) -> Matrix:
    """F (F' target F)^(-1/2) F' with F F' = source: the linear optimal transport map from target to source."""
    factor = _factor(source)
    values, vectors = np.linalg.eigh(factor.T @ (target @ factor))
    large = values > _noise(values)
    turned = factor @ vectors[:, large]
    transport: Matrix = (turned / np.sqrt(values[large])) @ turned.T
    return transport


def _factor(covariance: Matrix) -> Matrix:
    """F (D, rank) with F F' = covariance (D, D), symmetric and semidefinite.

    Pivoted Cholesky decomposition stops at the rank: much faster than eigenvectors and equally good if singular.
    """
    from scipy.linalg.lapack import dpstrf

    factor, pivots, rank, _ = dpstrf(covariance, lower=1)
    unpivoted = np.empty((len(covariance), rank))
    unpivoted[pivots - 1] = np.tril(factor)[:, :rank]
    return unpivoted


def _noise(eigenvalues: NDArray[np.floating]) -> float:
    """The size below which an eigenvalue is rounding error."""
    if not eigenvalues.size:
        return 0.0
    return float(np.abs(eigenvalues).max() * np.sqrt(eigenvalues.size) * np.finfo(np.float64).eps)
