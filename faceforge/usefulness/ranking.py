"""Metrics of a score that ranks images of one class above all others, and intervals by resampling the images.

None of the metrics depends on a decision threshold. Recall alone does: moving the threshold raises it at no cost but
false alarms, so a rise in recall does not show that a classifier has become better.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.metrics.comparison import Interval

FALSE_ALARMS = 0.05  # share of the other images that may score above the threshold of the recall
METRICS = {
    "auc": "AUC: probability that an image of the class scores higher than another image",
    "average_precision": "average precision: mean precision over the ranks of the images of the class",
    "recall_at_5": f"recall at {FALSE_ALARMS:.0%} false alarms: share of the images of the class that score above"
    f" all but {FALSE_ALARMS:.0%} of the others",
}


class Ranking(NamedTuple):
    """The metrics of a method's classifiers, in the order of `METRICS`.

    Attributes:
        values: float (seeds, 3), on the held-out images.
        resampled: float (seeds, resamples, 3), on bootstrap samples of the held-out images. Methods that share the
            bootstrap weights can be compared image by image.
    """

    values: NDArray[np.float64]
    resampled: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: NDArray[np.floating]) -> Ranking:
        """Computes the metrics from scores (seeds, N), the class membership (N,) and `bootstrap_weights` (R, N)."""
        once = np.ones((1, len(positive)))
        return cls(
            np.stack([ranking_metrics(row, positive, once)[0] for row in scores]),
            np.stack([ranking_metrics(row, positive, weights) for row in scores]),
        )

    def minus(self, other: Ranking) -> Ranking:
        """The differences from another method's metrics, seed by seed and image by image."""
        return Ranking(self.values - other.values, self.resampled - other.resampled)

    def interval(self, metric: int, confidence: float, lowest: float = 0.0) -> Interval:
        """The mean over seeds of one metric, with its interval, which stays within [`lowest`, 1].

        The variance is that over bootstrap samples of the images (for the mean over seeds) plus that of the mean over
        seeds. Student's t accounts for the few seeds, with (seeds - 1) x variance / variance of seeds degrees of
        freedom: with Satterthwaite's, which are more, the intervals contain the truth in 91 % at three seeds, with
        these in 95 % (and 91 % at two).
        """
        from scipy.stats import t

        values, resampled = self.values[:, metric], self.resampled[:, :, metric]
        of_images = float(resampled.mean(axis=0).var(ddof=1))
        of_seeds = float(values.var(ddof=1)) / len(values)
        variance, mean = of_images + of_seeds, float(values.mean())
        if not variance > 0:
            return Interval(value=mean, low=mean, high=mean)
        freedom = math.inf if of_seeds == 0 else (len(values) - 1) * variance / of_seeds
        reach = float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
        return Interval(value=mean, low=max(mean - reach, lowest), high=min(mean + reach, 1.0))


def ranking_metrics(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """AUC, average precision and recall at `FALSE_ALARMS`, for several weightings of the images.

    Equal to scikit-learn's `roc_auc_score` and `average_precision_score` with `sample_weight`; ties count half in the
    AUC and are above or below a threshold together.

    Args:
        scores: (N,), higher = more likely of the class.
        positive: (N,), which images are of the class; at least one is, and one is not.
        weights: (R, N), at least 0.

    Returns:
        float64 (R, 3).
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last of each group of equal scores
    found = np.cumsum(weights[:, order] * positive[order], axis=1)[:, ends]
    alarms = np.cumsum(weights[:, order] * ~positive[order], axis=1)[:, ends]
    start = np.zeros((len(weights), 1))
    recall = np.hstack([start, found / found[:, -1:]])
    false = np.hstack([start, alarms / alarms[:, -1:]])
    precision = found / np.maximum(found + alarms, 1e-12)
    auc = (np.diff(false) * (recall[:, 1:] + recall[:, :-1]) / 2).sum(axis=1)
    average_precision = (np.diff(recall) * precision).sum(axis=1)
    at_false_alarms = np.where(false <= FALSE_ALARMS + 1e-9, recall, 0.0).max(axis=1)
    return np.stack([auc, average_precision, at_false_alarms], axis=1)


def bootstrap_weights(positive: NDArray[np.bool_], resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each image is drawn in each bootstrap sample, (resamples, N); both groups keep their sizes."""
    rng = np.random.default_rng([seed, 17])
    weights = np.zeros((resamples, len(positive)))
    for group in (positive, ~positive):
        count = int(group.sum())
        weights[:, group] = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return weights
