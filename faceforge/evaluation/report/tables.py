"""Tables of metrics per class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.figures import Table
from faceforge.evaluation.metrics.precision_recall import overlap
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.scores import ModelScores
from faceforge.models.privacy import PrivacyStatement

PRIVACY_TITLE = "Differential privacy"
MIN_OF_CLASS = 30  # images of a class, below which precision and recall are left out


def class_tables(scores: ModelScores, reference: EvaluationReference) -> list[Table]:
    """A table per label column of the model, with label agreement, precision and recall of every class."""
    tables = []
    for name in scores.columns:
        column, classes = list(reference.vocabularies).index(name), reference.vocabularies[name]
        tables.append(
            Table(
                title=f"{name}: metrics per class",
                caption=(
                    "Agreement: share of samples whose predicted class is the requested one, and the most frequent"
                    " wrong prediction. Precision and recall within the class, in brackets for training images in place"
                    f" of samples; left out below {MIN_OF_CLASS} images."
                ),
                columns=[
                    "class",
                    "training set",
                    "holdout",
                    "samples",
                    "agreement",
                    "mistaken for",
                    "precision",
                    "recall",
                ],
                rows=[_row(scores, reference, column, code, classes) for code in range(len(classes))],
            )
        )
    return tables


def privacy_table(statement: PrivacyStatement) -> Table:
    """What training with differential privacy guarantees, how it was accounted, and what it leaves out."""
    more: list[list[str | int | float | None]] = [
        ["spent", f"{part.steps:,} steps, noise {part.noise_multiplier:.4g}, sampling rate {part.sampling_rate:.4g}"]
        for part in statement.spent
    ]
    if statement.public_start:
        more.append(["started from", f"a model of the images {statement.public_start[:12]}, which are not protected"])
    more.append(["covered", statement.covered])
    more += [["not covered", text] for text in statement.not_covered]
    return Table(
        title=PRIVACY_TITLE,
        caption=(
            "Adding or removing one training image changes the probability of any outcome of the training by at most a"
            " factor of e^epsilon, up to delta. docs/privacy.md explains it."
        ),
        columns=["", "value"],
        rows=[
            ["epsilon", statement.epsilon],
            ["delta", f"{statement.delta:g}"],
            ["accountant", statement.accountant],
            ["unit", statement.unit],
            ["gradient of each image clipped to", statement.clip],
            *more,
        ],
    )


def _row(
    scores: ModelScores, reference: EvaluationReference, column: int, code: int, classes: list[str]
) -> list[str | int | float | None]:
    n = reference.compared
    requested = scores.labels[:, column] == code
    predicted = scores.predicted[requested, column]
    wrong = np.bincount(predicted[predicted != code], minlength=len(classes))
    compared, in_train = requested[:n], reference.train_labels[:, column] == code
    real, fake = reference.holdout_features[compared], scores.evidence.features[compared]
    precision, recall = _overlap(real, fake)
    floor = _overlap(real, reference.train_features[in_train])
    return [
        classes[code],
        int((reference.all_train_labels[:, column] == code).sum()),
        int((reference.holdout_labels[:, column] == code).sum()),
        int(requested.sum()),
        float((predicted == code).mean()) if predicted.size else None,
        f"{classes[int(wrong.argmax())]} ({wrong.max() / predicted.size:.0%})" if wrong.any() else None,
        _with_floor(precision, floor[0]),
        _with_floor(recall, floor[1]),
    ]


def _overlap(real: NDArray[np.floating], fake: NDArray[np.floating]) -> tuple[float | None, float | None]:
    if min(len(real), len(fake)) < MIN_OF_CLASS:
        return None, None
    result = overlap(real, fake, k=3)
    return result.precision, result.recall


def _with_floor(value: float | None, floor: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.3f}" + ("" if floor is None else f" ({floor:.3f})")
