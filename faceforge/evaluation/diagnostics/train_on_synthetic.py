"""Train on synthetic, test on real (Esteban et al. 2017): whether the samples carry their labels.

A classifier is trained on samples and another one on as many real images; both are tested on the holdout. They are
linear discriminant analyses on the pixels of 16 px thumbnails, which cannot rely on fine artefacts and take a moment.
Whether samples help a classifier beyond what the real images and a better training do is another question, which
`faceforge usefulness` answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.linear import fit_linear
from faceforge.evaluation.diagnostics.pixel_features import coarse_pixels
from faceforge.evaluation.diagnostics.rates import auc

MIN_IMAGES = 50  # of each kind

_AUC = "AUC of each class against the others on the holdout, mean over classes and label columns"
DESCRIPTIONS = {
    "train_on_synthetic/auc": f"{_AUC}; by a linear classifier on the pixels of 16 px thumbnails, trained on samples."
    " Shows whether samples carry their labels; whether they help a classifier is measured by `faceforge usefulness`",
    "train_on_synthetic/auc_floor": "the same, trained on as many real images",
    "train_on_synthetic/auc_...": "the same for one label column",
}


@dataclass(frozen=True)
class ClassAuc:
    """AUC of a class against the others on the holdout, by training data; NaN = the holdout has only one of them."""

    column: str
    name: str
    real_images: int  # in the training data
    samples: int  # in the training data
    holdout_images: int
    real: float
    synthetic: float


@dataclass(frozen=True)
class TrainOnSynthetic:
    """Result of `train_on_synthetic`.

    Attributes:
        metrics: `train_on_synthetic/auc` and `..._floor`; with several label columns also `..._<column>` of each.
        classes: AUC per class.
    """

    metrics: dict[str, float]
    classes: list[ClassAuc]


@dataclass(frozen=True)
class Labelled:
    """Features and labels of images.

    Attributes:
        features: (N, D), of `coarse_pixels`.
        codes: (N, columns), positions in the vocabularies.
    """

    features: NDArray[np.float32]
    codes: NDArray[np.integer]

    @staticmethod
    def of(images: NDArray[np.uint8], codes: NDArray[np.integer]) -> Labelled:
        """Computes the features of images uint8 (N, S, S, C) with codes (N, columns)."""
        return Labelled(coarse_pixels(images), codes)


def train_on_synthetic(
    real: Labelled, holdout: Labelled, fake: Labelled, vocabularies: Mapping[str, Sequence[str]]
) -> TrainOnSynthetic:
    """Trains a classifier on real images and one on samples, and tests both on the holdout.

    Args:
        real: training images.
        holdout: images of the same kind, not in `real`.
        fake: samples with their requested labels. The first min(N, M) real images and samples are used.
        vocabularies: label column -> classes, in the order of the columns of the codes.

    Raises:
        FaceForgeError: no labels, or fewer than `MIN_IMAGES` of a kind.
    """
    if not vocabularies:
        raise FaceForgeError("training on synthetic images needs labels")
    if (fewest := min(len(kind.codes) for kind in (real, holdout, fake))) < MIN_IMAGES:
        raise FaceForgeError(
            f"{fewest} images of a kind are too few to train a classifier, at least {MIN_IMAGES} are needed"
        )
    count = min(len(real.codes), len(fake.codes))
    table: list[ClassAuc] = []
    for column, (name, classes) in enumerate(vocabularies.items()):
        truth = holdout.codes[:, column]
        scores = {
            kind: fit_linear(data.features[:count], data.codes[:count, column], len(classes)).scores(holdout.features)
            for kind, data in (("real", real), ("synthetic", fake))
        }
        for code, label in enumerate(classes):
            real_auc, synthetic_auc = (_auc_of_class(scores[kind], truth, code) for kind in ("real", "synthetic"))
            table.append(
                ClassAuc(
                    column=name,
                    name=label,
                    real_images=int((real.codes[:count, column] == code).sum()),
                    samples=int((fake.codes[:count, column] == code).sum()),
                    holdout_images=int((truth == code).sum()),
                    real=real_auc,
                    synthetic=synthetic_auc,
                )
            )
    metrics: dict[str, float] = {}
    for ending, kind in (("", "synthetic"), ("_floor", "real")):
        by_column = {name: _mean([getattr(row, kind) for row in table if row.column == name]) for name in vocabularies}
        metrics[f"train_on_synthetic/auc{ending}"] = _mean(list(by_column.values()))
        if len(by_column) > 1:
            metrics |= {f"train_on_synthetic/auc_{name}{ending}": value for name, value in by_column.items()}
    return TrainOnSynthetic(metrics, table)


def _auc_of_class(scores: NDArray[np.float64], truth: NDArray[np.integer], code: int) -> float:
    """AUC of the log odds of one class against all others; NaN if the holdout has only one of them."""
    from scipy.special import logsumexp

    own, others = scores[:, code], logsumexp(np.delete(scores, code, axis=1), axis=1)
    # A class without training images has the score minus infinity for all: a tie, AUC 0.5.
    odds = np.where(np.isfinite(own), own - others, -np.inf)
    odds = np.nan_to_num(odds, neginf=-1e300, posinf=1e300)
    return auc(odds[truth == code], odds[truth != code])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
