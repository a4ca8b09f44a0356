"""Pictures of a report: samples, and real beside generated images, with a named row for every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.evaluation.figures import Strip, Strips
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.scores import ModelScores
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents, label_combinations

SHEET_ROWS, SHEET_COLUMNS = 16, 10
PAIRED_ROWS, PAIRED_COLUMNS = 10, 6
_PAD = 1


def sample_strips(bundle: Bundle, seed: int) -> Strips:
    """Samples: a row per combination of classes (at most `SHEET_ROWS`), the same latents in every row."""
    vocabularies = bundle.info.labels
    combinations = label_combinations(vocabularies)[:SHEET_ROWS]
    rows = len(combinations) if vocabularies else SHEET_COLUMNS // 2
    latents = draw_latents(seed, SHEET_COLUMNS * (1 if vocabularies else rows), bundle.info.spec.latent_size)
    if vocabularies:
        latents = np.tile(latents, (rows, 1))
    labels = np.repeat(combinations, len(latents) // len(combinations), axis=0)
    images = bundle.generate(latents, labels).reshape(rows, SHEET_COLUMNS, *_shape(bundle))
    names = [class_names(vocabularies, codes) for codes in combinations] if vocabularies else [""] * rows
    strips = [Strip(name, (image_grid(row, SHEET_COLUMNS, _PAD),)) for name, row in zip(names, images, strict=True)]
    return Strips(("Samples",), strips, bundle.info.spec.image_size)


def sheet(strips: Strips) -> NDArray[np.uint8]:
    """The rows of one column, one below the other, uint8 (H, W, C)."""
    rows = [row.images[0] for row in strips.rows]
    gap = np.full((_PAD, *rows[0].shape[1:]), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def real_and_generated(scores: ModelScores, reference: EvaluationReference) -> Strips:
    """The first holdout images beside the first samples with the same labels.

    A row shows one combination of the model's labels, the most frequent first.
    """
    columns = [list(reference.vocabularies).index(name) for name in scores.columns]
    labels = scores.labels[: reference.compared][:, columns]
    keys, counts = np.unique(labels, axis=0, return_counts=True)
    if columns:
        chosen = keys[np.argsort(-counts, kind="stable")][:PAIRED_ROWS]
        rows = [np.flatnonzero((labels == key).all(axis=1)) for key in chosen]
        vocabularies = {name: reference.vocabularies[name] for name in scores.columns}
        names = [class_names(vocabularies, key) for key in chosen]
    else:
        rows = list(np.arange(PAIRED_ROWS // 2 * PAIRED_COLUMNS).reshape(-1, PAIRED_COLUMNS) % reference.compared)
        names = [""] * len(rows)
    strips = [
        Strip(name, tuple(_row(images, matching) for images in (reference.holdout, scores.samples)))
        for name, matching in zip(names, rows, strict=True)
    ]
    return Strips(("Real", "Generated"), strips, reference.holdout.shape[1])


def class_names(vocabularies: Mapping[str, Sequence[str]], codes: NDArray[np.integer]) -> str:
    """A combination of classes in words: `smiling`, or with several columns `gender female, age 0-12`."""
    named = {column: classes[code] for (column, classes), code in zip(vocabularies.items(), codes, strict=True)}
    if len(named) == 1:
        return next(iter(named.values()))
    return ", ".join(f"{column} {name}" for column, name in named.items())


def _row(images: NDArray[np.uint8], matching: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The first matching images in a row, repeated if there are too few."""
    return image_grid(images[matching[np.arange(PAIRED_COLUMNS) % len(matching)]], PAIRED_COLUMNS, _PAD)


def _shape(bundle: Bundle) -> tuple[int, int, int]:
    spec = bundle.info.spec
    return spec.image_size, spec.image_size, spec.channels
