"""Statistics of the features of an image set: mean and covariance of all rows, and a random sample of the rows."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError, first_line
from faceforge.evaluation.metrics.moments import Gaussian, Moments

KEPT_AT_MOST = 10_000  # rows, for pairwise metrics: 80 MB of Inception features


class FeatureStatistics(NamedTuple):
    """Statistics of a set of features; their size does not grow with the number of images.

    Attributes:
        gaussian: fitted to all rows.
        rows: float32 (n, D), all of them or a random `KEPT_AT_MOST`; (0, D) if a file had none.
        identity: `Inception.identity` of the network; empty = unknown.
    """

    gaussian: Gaussian
    rows: NDArray[np.float32]
    identity: str = ""

    @classmethod
    def of(cls, features: NDArray[np.float32], identity: str = "") -> FeatureStatistics:
        """Statistics of features (N, D) in memory."""
        return collect_statistics([features], identity)

    def save(self, path: Path) -> None:
        """Writes an `.npz`; pytorch-fid reads its `mu` and `sigma`."""
        self.gaussian.save(path, rows=self.rows, identity=np.array(self.identity))

    @classmethod
    def load(cls, path: Path) -> FeatureStatistics:
        """Reads what `save`, pytorch-fid or TTUR wrote.

        Raises:
            FaceForgeError: no such file, or not of this kind.
        """
        gaussian = Gaussian.load(path)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                known = "rows" in arrays and "identity" in arrays
                rows = arrays["rows"] if known else np.empty((0, len(gaussian.mean)), np.float32)
                if rows.ndim != 2 or rows.shape[1] != len(gaussian.mean) or not np.isfinite(rows).all():
                    raise ValueError("rows are not finite features of as many dimensions as mu")
                return cls(gaussian, rows, str(arrays["identity"]) if known else "")
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise FaceForgeError(f"{path} is damaged ({first_line(error)}); make it again") from None


def collect_statistics(blocks: Iterable[NDArray[np.float32]], identity: str = "", seed: int = 0) -> FeatureStatistics:
    """Collects statistics of features that arrive in blocks (n, D).

    The kept rows are a random sample (Vitter (1985), "Random sampling with a reservoir", algorithm R) that depends only
    on the seed and the order of rows, not on the blocks.

    Raises:
        FaceForgeError: there are no rows.
    """
    moments, kept, rng = None, np.empty((0, 0), np.float32), np.random.default_rng(seed)
    for block in blocks:
        if not len(block):
            continue
        if moments is None:
            moments, kept = Moments(block.shape[1]), np.empty((0, block.shape[1]), np.float32)
        first = moments.count
        moments.add(block)
        room = max(KEPT_AT_MOST - first, 0)
        kept = np.concatenate([kept, block[:room]]) if room else kept
        for row, number in zip(block[room:], range(first + len(block[:room]), first + len(block)), strict=True):
            if (place := int(rng.integers(number + 1))) < KEPT_AT_MOST:
                kept[place] = row
    if moments is None:
        raise FaceForgeError(
            "there are no images to measure; name a folder, an image set or a Parquet file that has some"
        )
    return FeatureStatistics(moments.gaussian, kept, identity)


def cached(folder: Path, key: str, make: Callable[[], FeatureStatistics]) -> FeatureStatistics:
    """Reads the statistics cached under a key, or computes and caches them.

    Args:
        folder: of the cache.
        key: everything the features depend on: digest and split of the data, identity of the network.
        make: computes the statistics.
    """
    file = folder / f"features-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        if file.is_file():
            return FeatureStatistics.load(file)
    except FaceForgeError:
        file.unlink()  # damaged, so computed again below
    statistics = make()
    statistics.save(file)
    return statistics
