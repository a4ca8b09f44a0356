"""Latents and labels of samples, reproducible whatever the batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # latents are drawn in blocks of this many rows, each from a stream of its own


def draw_latents(seed: int, count: int, size: int, start: int = 0) -> NDArray[np.float32]:
    """Standard normal latents, float32 (count, size); row i depends on (seed, start + i) only."""
    if count == 0:
        return np.zeros((0, size), np.float32)
    first, last = start // _BLOCK, (start + count - 1) // _BLOCK
    blocks = [
        np.random.Generator(np.random.Philox(key=[seed, block])).standard_normal((_BLOCK, size), np.float32)
        for block in range(first, last + 1)
    ]
    return np.concatenate(blocks)[start - first * _BLOCK :][:count]


def label_combinations(vocabularies: Mapping[str, Sequence[str]]) -> NDArray[np.int32]:
    """Every combination of the columns' classes, int32 (combinations, columns); (1, 0) if there are no columns."""
    rows = list(product(*(range(len(classes)) for classes in vocabularies.values())))
    return np.array(rows, np.int32).reshape(len(rows), len(vocabularies))


def cycle_labels(vocabularies: Mapping[str, Sequence[str]], count: int) -> NDArray[np.int32]:
    """`count` rows of labels that take every combination in turn, int32 (count, columns)."""
    combinations = label_combinations(vocabularies)
    return combinations[np.arange(count) % len(combinations)]
