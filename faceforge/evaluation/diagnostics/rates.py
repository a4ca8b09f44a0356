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


def auc_interval(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> tuple[float, float, float]:
    """The AUC and its 95 % interval by DeLong et al. (1988), on the logit scale; NaN with fewer than two of a kind."""
    value = auc(positive, negative)
    variance = auc_variance(positive, negative)
    if not np.isfinite(variance):
        return value, float("nan"), float("nan")
    return value, *around_auc(value, variance)


def auc_variance(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """The variance of the AUC by DeLong et al. (1988); NaN with fewer than two of a kind.

    Not smaller than that of a share, so that an AUC of 0 or 1 does not seem exact.
    """
    from scipy.stats import rankdata

    if min(len(positive), len(negative)) < 2:
        return float("nan")
    together = rankdata(np.concatenate([positive, negative]))
    above = (together[: len(positive)] - rankdata(positive)) / len(negative)  # share of negatives below each positive
    below = 1 - (together[len(positive) :] - rankdata(negative)) / len(positive)
    least = 0.25 / (min(len(positive), len(negative)) + 1) ** 2
    return max(float(above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative)), least)


def around_auc(value: float, variance: float) -> tuple[float, float]:
    """The 95 % interval of an AUC, symmetric on the logit scale and therefore within (0, 1)."""
    spread = variance**0.5
    inner = min(max(value, spread), 1 - spread) if spread < 0.5 else 0.5
    middle, reach = np.log(inner / (1 - inner)), _Z95 * spread / (inner * (1 - inner))
    low, high = (float(1 / (1 + np.exp(-np.clip(end, -50, 50)))) for end in (middle - reach, middle + reach))
    return min(low, value), max(high, value)
