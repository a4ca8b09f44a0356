"""Pictures of a report: contact sheets of samples and of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.scores import ModelScores
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents, label_combinations

SHEET_ROWS, SHEET_COLUMNS = 16, 10
PAIRED_ROWS, PAIRED_COLUMNS = 10, 8


def sample_sheet(bundle: Bundle, seed: int) -> NDArray[np.uint8]:
    """Contact sheet of samples: a row per combination of classes (at most `SHEET_ROWS`), the same latents per row."""
    combinations = label_combinations(bundle.info.labels)[:SHEET_ROWS]
    rows = len(combinations) if bundle.info.labels else SHEET_COLUMNS // 2
    latents = draw_latents(seed, SHEET_COLUMNS * (1 if bundle.info.labels else rows), bundle.info.spec.latent_size)
    if bundle.info.labels:
        latents = np.tile(latents, (rows, 1))
    labels = np.repeat(combinations, len(latents) // len(combinations), axis=0)
    return image_grid(bundle.generate(latents, labels), columns=SHEET_COLUMNS, pad=1)


def real_and_generated(
    scores: ModelScores, reference: EvaluationReference
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two contact sheets of equal layout: the first holdout images, and the first samples with the same labels.

    A row shows one combination of the model's labels, the most frequent first.
    """
    columns = [list(reference.vocabularies).index(name) for name in scores.columns]
    n = reference.compared
    keys, counts = np.unique(scores.labels[:n][:, columns], axis=0, return_counts=True)
    if not columns:
        return tuple(
            image_grid(images[: PAIRED_COLUMNS * PAIRED_COLUMNS], PAIRED_COLUMNS, pad=1)
            for images in (reference.holdout, scores.samples)
        )  # type: ignore[return-value]
    rows = []
    for key in keys[np.argsort(-counts, kind="stable")][:PAIRED_ROWS]:
        matching = np.flatnonzero((scores.labels[:n][:, columns] == key).all(axis=1))
        rows.append(matching[np.arange(PAIRED_COLUMNS) % len(matching)])
    chosen = np.concatenate(rows)
    return (
        image_grid(reference.holdout[chosen], PAIRED_COLUMNS, pad=1),
        image_grid(scores.samples[chosen], PAIRED_COLUMNS, pad=1),
    )
