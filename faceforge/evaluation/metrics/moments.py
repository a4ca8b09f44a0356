"""Streaming mean and covariance of features in float64, and files of them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file

Matrix = NDArray[np.float64]
_ROUNDING = 1e-6  # relative to the trace: float32 files of singular covariances are within it


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of a set of features, which the Frechet distance compares.

    Attributes:
        mean: (D,) float64.
        covariance: (D, D) float64.
        count: rows behind them; 0 = unknown.
    """

    mean: Matrix
    covariance: Matrix
    count: int

    def save(self, path: Path, **more: Any) -> None:
        """Writes `mu`, `sigma` (as pytorch-fid reads them) and `count` to an `.npz`, and `more` beside them."""
        with atomic_file(path) as partial, partial.open("wb") as stream:
            np.savez(stream, mu=self.mean, sigma=self.covariance, count=np.int64(self.count), **more)

    @classmethod
    def load(cls, path: Path) -> Gaussian:
        """Reads what `save`, pytorch-fid or TTUR wrote; the count of the latter two is unknown.

        Raises:
            FaceForgeError: no such file, not of this kind, or not the mean and covariance of anything: not finite, not
                symmetric, or not positive semidefinite.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance = (np.asarray(arrays[name], np.float64) for name in ("mu", "sigma"))
                count = int(arrays["count"]) if "count" in arrays else 0
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            reason = first_line(error)
            raise FaceForgeError(f"{path} holds no statistics (mu, sigma): {reason}; compute them again") from None
        if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
            raise FaceForgeError(f"{path} has mu {mean.shape} and sigma {covariance.shape}; compute them again")
        if problem := _problem(mean, covariance):
            raise FaceForgeError(f"{path} holds no valid statistics: {problem}; compute them again")
        return cls(mean, covariance, max(count, 0))


def _problem(mean: Matrix, covariance: Matrix) -> str:
    """Why these are not the mean and covariance of any features; empty if they may be."""
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return "mu or sigma is not finite"
    total = float(np.abs(covariance.diagonal()).sum())
    if not np.allclose(covariance, covariance.T, rtol=0, atol=_ROUNDING * total):
        return "sigma is not symmetric"
    # Rounding leaves slightly negative eigenvalues where there are fewer images than features.
    raised = covariance + max(_ROUNDING * total, np.finfo(np.float64).tiny) * np.eye(len(mean))
    try:
        np.linalg.cholesky(raised)
    except np.linalg.LinAlgError:
        return "sigma has negative eigenvalues"
    return ""


class Moments:
    """Count, mean and scatter matrix of the rows added so far; the rows themselves are not kept.

    The rows may be added in any split and order; results differ only by rounding (Chan, Golub & LeVeque (1979),
    "Updating formulae and a pairwise algorithm for computing sample variances").

    Attributes:
        count: number of rows added.
        mean: (D,) float64.
    """

    def __init__(self, dimensions: int) -> None:
        """Without any rows yet; rows have `dimensions` columns."""
        self.count, self.mean = 0, np.zeros(dimensions)
        self._scatter = np.zeros((dimensions, dimensions))

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """The moments of rows (N, D)."""
        moments = cls(features.shape[1])
        moments.add(features)
        return moments

    @property
    def gaussian(self) -> Gaussian:
        """Mean and unbiased covariance of the rows so far; NaN with fewer than two rows."""
        covariance = self._scatter / (self.count - 1) if self.count > 1 else np.full_like(self._scatter, np.nan)
        return Gaussian(self.mean, covariance, self.count)

    def add(self, features: NDArray[np.floating]) -> None:
        """Adds rows (N, D); blocks of thousands are fastest."""
        if len(features):
            wide = features.astype(np.float64)
            mean = wide.mean(axis=0)
            wide -= mean
            self._merge(len(wide), mean, wide.T @ wide)

    def merge(self, other: Moments) -> None:
        """Adds the rows of another `Moments`."""
        if other.count:
            self._merge(other.count, other.mean, other._scatter)

    def _merge(self, count: int, mean: Matrix, scatter: Matrix) -> None:
        total = self.count + count
        apart = mean - self.mean
        self._scatter += scatter
        if self.count:
            self._scatter += np.outer(apart, apart * (self.count * count / total))
        self.mean = self.mean + apart * (count / total)
        self.count = total
