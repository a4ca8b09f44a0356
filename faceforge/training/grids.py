"""Sample grids of a run, always from the same latents and labels, so that they can be compared over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.pixels import Pixels
from faceforge.models.sampling import draw_latents, label_combinations, path_between

COLUMNS, ROWS = 12, 12
PATHS = 6

Sample = Callable[[NDArray[np.float32], NDArray[np.int32]], Pixels]


class Grids:
    """Fixed latents and labels for sample grids and interpolations.

    Args:
        labels: the condition columns' vocabularies.
        latent_size: dimensions of a latent.
        seed: seed of the latents.
    """

    def __init__(self, labels: dict[str, list[str]], latent_size: int, seed: int) -> None:
        combinations = label_combinations(labels)
        self._rows = min(len(combinations), ROWS) if labels else ROWS
        self._labels = combinations[np.arange(max(self._rows, PATHS)) % len(combinations)]
        latents = draw_latents(seed, COLUMNS * self._rows, latent_size)
        # The same latents in every row, so that a column shows what the label alone changes.
        self._latents = np.tile(latents[:COLUMNS], (self._rows, 1)) if labels else latents
        self._ends = draw_latents(seed, 2 * PATHS, latent_size, start=1000)

    def samples(self, sample: Sample) -> NDArray[np.uint8]:
        """A grid with a row per class, each from the same latents, uint8 (H, W, C); without classes, latents vary."""
        return image_grid(sample(self._latents, np.repeat(self._labels[: self._rows], COLUMNS, axis=0)), COLUMNS)

    def interpolations(self, sample: Sample) -> NDArray[np.uint8]:
        """A grid with a row per pair of latents: the path from one to the other, uint8 (H, W, C)."""
        paths = [path_between(self._ends[2 * path : 2 * path + 2], COLUMNS)[0] for path in range(PATHS)]
        return image_grid(sample(np.concatenate(paths), np.repeat(self._labels[:PATHS], COLUMNS, axis=0)), COLUMNS)
