"""Latents and labels of samples, reproducible for every batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # latents are drawn in blocks of this many rows, each block from its own random stream


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
    """Codes of all combinations of the columns' classes, int32 (combinations, columns); (1, 0) without columns."""
    rows = list(product(*(range(len(classes)) for classes in vocabularies.values())))
    return np.array(rows, np.int32).reshape(len(rows), len(vocabularies))


def cycle_labels(vocabularies: Mapping[str, Sequence[str]], count: int) -> NDArray[np.int32]:
    """Codes int32 (count, columns) that cycle through all combinations of classes."""
    combinations = label_combinations(vocabularies)
    return combinations[np.arange(count) % len(combinations)]


def path_between(ends: NDArray[np.float32], steps: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Latents between consecutive ends: spherical interpolation of the directions, linear interpolation of the lengths.

    Args:
        ends: float32 (N, Z), N at least 2.
        steps: latents per leg, both ends included, at least 2.

    Returns:
        float32 ((N - 1) * (steps - 1) + 1, Z), with the ends unchanged; and the index of the nearest end, int64.
    """
    legs = np.arange((len(ends) - 1) * (steps - 1) + 1)
    leg = np.minimum(legs // (steps - 1), len(ends) - 2)
    share = (legs / (steps - 1) - leg)[:, None]
    a, b = (ends[leg + side].astype(np.float64) for side in (0, 1))
    lengths = [np.linalg.norm(end, axis=1, keepdims=True) for end in (a, b)]
    cosine = (a * b).sum(1, keepdims=True) / np.maximum(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    flat = (angle < 1e-4) | (angle > np.pi - 1e-4)  # (anti)parallel directions define no arc: interpolate linearly
    sine = np.where(flat, 1.0, np.sin(angle))
    units = [end / np.maximum(length, 1e-12) for end, length in zip((a, b), lengths, strict=True)]
    turned = (np.sin((1 - share) * angle) * units[0] + np.sin(share * angle) * units[1]) / sine
    length = (1 - share) * lengths[0] + share * lengths[1]
    path = np.where(flat, (1 - share) * a + share * b, turned * length).astype(np.float32)
    nearest = leg + (share[:, 0] >= 0.5)
    exact = (share[:, 0] == 0) | (share[:, 0] == 1)
    path[exact] = ends[nearest[exact]]
    return path, nearest
