"""The latents of each image: every combination of labels (cell) has its own sequence of latents.

An image depends only on the model, the seed, its labels and its number in the cell's sequence, not on what else is
requested: 500 images per class start with the 100 images of a smaller request.
`Generator.generate(1, seed=seed, start=start_of(cell) + number, attributes=cell.labels)` reproduces an image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.inference.generator import Generator
from faceforge.models.sampling import draw_latents
from faceforge.synthesis.plan import Cell

SERIES = 2**40  # length of the sequence of each combination of labels
PILOT = 2**39  # start of the part used for pilot samples, which only set limits
_COMBINATIONS = 2**22  # beyond that, combinations share sequences; their labels still differ


def start_of(cell: Cell, classes: tuple[int, ...]) -> int:
    """First index of a cell's sequence; `classes` is the number of classes of each label column."""
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
