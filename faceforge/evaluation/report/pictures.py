"""Pictures of a report: contact sheets of samples and of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.evaluation.reference import Yardstick
from faceforge.evaluation.scores import Judged
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents, label_combinations

SHEET_ROWS, SHEET_COLUMNS = 16, 10
PAIRED_ROWS, PAIRED_COLUMNS = 10, 8


def sample_sheet(bundle: Bundle, seed: int) -> NDArray[np.uint8]:
    """A grid of samples: a row per combination of classes (the first `SHEET_ROWS`), the same latents in every row."""
    combinations = label_combinations(bundle.info.labels)[:SHEET_ROWS]
    rows = len(combinations) if bundle.info.labels else SHEET_COLUMNS // 2
    latents = draw_latents(seed, SHEET_COLUMNS * (1 if bundle.info.labels else rows), bundle.info.spec.latent_size)
    if bundle.info.labels:
        latents = np.tile(latents, (rows, 1))
    labels = np.repeat(combinations, len(latents) // len(combinations), axis=0)
    return image_grid(bundle.generate(latents, labels), columns=SHEET_COLUMNS, pad=1)


def real_and_generated(judged: Judged, yardstick: Yardstick) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two sheets of equal layout, unsorted and unpicked: holdout images, and samples asked for the same labels.

    A row shows one combination of the labels that the model takes, the most frequent first.
    """
    columns = [list(yardstick.vocabularies).index(name) for name in judged.columns]
    n = yardstick.compared
    keys, counts = np.unique(judged.labels[:n][:, columns], axis=0, return_counts=True)
    if not columns:
        return tuple(
            image_grid(images[: PAIRED_COLUMNS * PAIRED_COLUMNS], PAIRED_COLUMNS, pad=1)
            for images in (yardstick.holdout, judged.samples)
        )  # type: ignore[return-value]
    rows = []
    for key in keys[np.argsort(-counts, kind="stable")][:PAIRED_ROWS]:
        there = np.flatnonzero((judged.labels[:n][:, columns] == key).all(axis=1))
        rows.append(there[np.arange(PAIRED_COLUMNS) % len(there)])
    chosen = np.concatenate(rows)
    return (
        image_grid(yardstick.holdout[chosen], PAIRED_COLUMNS, pad=1),
        image_grid(judged.samples[chosen], PAIRED_COLUMNS, pad=1),
    )
