"""Rates and rankings that several metrics are computed from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959963984540054  # standard deviations of the normal distribution that hold 95 %


def interval(share: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in `count` independent trials, by Wilson (1927); within [0, 1]."""
    if count <= 0:
        return float("nan"), float("nan")
    spread = _Z95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = (share * (1 - share) * spread + spread**2 / 4) ** 0.5 / (1 + spread)
    low, high = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return 0.0 if share == 0 else low, 1.0 if share == 1 else high


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """P(a positive scores higher than a negative), ties half: the area under the ROC curve. NaN if either is empty."""
    from sklearn.metrics import roc_auc_score

    if not (positive.size and negative.size):
        return float("nan")
    labels = np.repeat([True, False], [len(positive), len(negative)])
    return float(roc_auc_score(labels, np.concatenate([positive, negative])))


def true_positive_rate(positive: NDArray[np.floating], negative: NDArray[np.floating], false_positives: float) -> float:
    """Share of positives above a threshold that at most the share `false_positives` of the negatives exceeds."""
    allowed = int(false_positives * len(negative))
    threshold = np.sort(negative)[::-1][min(allowed, len(negative) - 1)]
    return float((positive > threshold).mean())
