"""What is kept of a set's features: all of it in mean and covariance, and some of the rows themselves."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.moments import Gaussian, Moments

KEPT_AT_MOST = 10_000  # rows: what pairwise measures can use, and 80 MB of Inception features


class Gathered(NamedTuple):
    """A set of features, ready to be compared; its size does not grow with the number of images.

    Attributes:
        gaussian: fitted to all rows.
        rows: float32 (n, D), all of them or a random `KEPT_AT_MOST`; (0, D) when a file had none.
        identity: what made them, `Inception.identity`; empty = unknown.
    """

    gaussian: Gaussian
    rows: NDArray[np.float32]
    identity: str = ""

    @classmethod
    def of(cls, features: NDArray[np.float32], identity: str = "") -> Gathered:
        """Of features (N, D) in memory."""
        return gather([features], identity)

    def save(self, path: Path) -> None:
        """Writes an `.npz`; pytorch-fid reads its `mu` and `sigma`."""
        self.gaussian.save(path, rows=self.rows, identity=np.array(self.identity))

    @classmethod
    def load(cls, path: Path) -> Gathered:
        """Reads what `save`, pytorch-fid or TTUR wrote.

        Raises:
            FaceForgeError: no such file, or not of this kind.
        """
        gaussian = Gaussian.load(path)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                known = "rows" in arrays and "identity" in arrays
                rows = arrays["rows"] if known else np.empty((0, len(gaussian.mean)), np.float32)
                return cls(gaussian, rows, str(arrays["identity"]) if known else "")
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise FaceForgeError(f"{path} is damaged ({str(error).splitlines()[0]}); make it again") from None


def gather(blocks: Iterable[NDArray[np.float32]], identity: str = "", seed: int = 0) -> Gathered:
    """Gathers features that stream by, in blocks (n, D).

    Which rows are kept is a random choice (Vitter (1985), "Random sampling with a reservoir", algorithm R) that depends
    on the seed and their order only, not on the blocks.

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
    return Gathered(moments.gaussian, kept, identity)


def cached(folder: Path, key: str, make: Callable[[], Gathered]) -> Gathered:
    """What was gathered under this key before, or else what `make` gives, which is then kept in `folder`.

    Args:
        folder: of the cache.
        key: all that the features depend on: digest and split of the data, identity of the network.
        make: computes them.
    """
    file = folder / f"features-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        if file.is_file():
            return Gathered.load(file)
    except FaceForgeError:
        file.unlink()  # damaged: made again below
    gathered = make()
    gathered.save(file)
    return gathered
