"""Tables of a report: the metrics per class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.figures import Table
from faceforge.evaluation.metrics.precision_recall import overlap
from faceforge.evaluation.reference import Yardstick
from faceforge.evaluation.scores import Judged

MIN_OF_CLASS = 30  # images of a class, below which precision and recall are left out


def class_tables(judged: Judged, yardstick: Yardstick) -> list[Table]:
    """A table per label column that the model takes: how well each class is obeyed, how real and how varied it is."""
    tables = []
    for name in judged.columns:
        column, classes = list(yardstick.vocabularies).index(name), yardstick.vocabularies[name]
        tables.append(
            Table(
                title=f"{name}: class by class",
                caption=(
                    "Agreement: share of samples in which the classifier sees the class asked for; beside it, as what"
                    " the others are seen most often. Precision and recall as above, but among the images of the class"
                    " (holdout and samples), in brackets with training images in place of samples; left out below"
                    f" {MIN_OF_CLASS} images."
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
                rows=[_row(judged, yardstick, column, code, classes) for code in range(len(classes))],
            )
        )
    return tables


def _row(
    judged: Judged, yardstick: Yardstick, column: int, code: int, classes: list[str]
) -> list[str | int | float | None]:
    n = yardstick.compared
    asked = judged.labels[:, column] == code
    seen = judged.seen[asked, column]
    wrong = np.bincount(seen[seen != code], minlength=len(classes))
    here, learnt = asked[:n], yardstick.train_labels[:, column] == code
    real, fake = yardstick.holdout_features[here], judged.evidence.features[here]
    precision, recall = _overlap(real, fake)
    floor = _overlap(real, yardstick.train_features[learnt])
    return [
        classes[code],
        int((yardstick.all_train_labels[:, column] == code).sum()),
        int((yardstick.holdout_labels[:, column] == code).sum()),
        int(asked.sum()),
        float((seen == code).mean()) if seen.size else None,
        f"{classes[int(wrong.argmax())]} ({wrong.max() / seen.size:.0%})" if wrong.any() else None,
        _beside(precision, floor[0]),
        _beside(recall, floor[1]),
    ]


def _overlap(real: NDArray[np.floating], fake: NDArray[np.floating]) -> tuple[float | None, float | None]:
    if min(len(real), len(fake)) < MIN_OF_CLASS:
        return None, None
    found = overlap(real, fake, k=3)
    return found.precision, found.recall


def _beside(value: float | None, floor: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.3f}" + ("" if floor is None else f" ({floor:.3f})")
