"""Which latents belong to which image: every combination of labels has a series of its own.

An image is a function of the model, the seed, its labels and its number in their series, whatever else is asked for:
500 images per class begin with those of 100 per class. `Generator.generate(1, seed=seed, start=start_of(cell) + number,
attributes=cell.labels)` draws it again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.inference.generator import Generator
from faceforge.models.sampling import draw_latents
from faceforge.synthesis.plan import Cell

SERIES = 2**40  # numbers per combination of labels
PILOT = 2**39  # from here on, candidates that only set limits
_COMBINATIONS = 2**22  # beyond, series are shared; their images still differ, as their labels do


def start_of(cell: Cell, classes: tuple[int, ...]) -> int:
    """Where the series of a combination begins; `classes` is how many each column has."""
    number = 0
    for code, count in zip(cell.codes, classes, strict=True):
        number = number * count + code
    return number % _COMBINATIONS * SERIES


def latents_of(
    generator: Generator, cell: Cell, first: int, count: int, seed: int, truncation: float
) -> NDArray[np.float32]:
    """Latents float32 (count, Z) of images `first`, `first + 1`, ... of a cell."""
    start = start_of(cell, tuple(len(names) for names in generator.labels.values())) + first
    return draw_latents(seed, count, generator.bundle.info.spec.latent_size, start) * np.float32(truncation)
