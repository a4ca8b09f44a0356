"""Checks on holdout images during training, and the warnings they give rise to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from faceforge.data.imageset.reader import ImageSet, Split
from faceforge.data.pixels import Pixels
from faceforge.data.sources.samples import random_subset
from faceforge.evaluation.metrics.sliced_wasserstein import sliced_wasserstein

IMAGES = 512  # of each split: enough to see a trend, few enough to take seconds
DISTANCE, MEMORISED, VARIETY = "holdout/sliced_wasserstein", "discriminator/memorised", "samples/variety"
TOO_MUCH, TOO_LITTLE = 0.5, 0.1

Scores = NDArray[np.float32]


class HoldoutCheck:
    """Compares samples with the holdout, and the discriminator's logits on holdout and training images.

    Args:
        dataset: image set.
        labels: the condition columns.
    """

    def __init__(self, dataset: ImageSet, labels: Mapping[str, list[str]]) -> None:
        self._holdout, self._codes = _subset(dataset, "holdout", labels)
        self._train, self._train_codes = _subset(dataset, "train", labels)

    def measure(
        self,
        sample: Callable[[NDArray[np.int32]], Pixels],
        logits: Callable[[Pixels, NDArray[np.int32]], Scores],
    ) -> dict[str, float]:
        """Metrics of the current networks.

        Args:
            sample: labels (N, columns) -> samples uint8 (N, H, W, C).
            logits: images and labels -> logits (N,).

        Returns:
            `holdout/sliced_wasserstein`: distance between the holdout and samples with its labels; smaller is better.
            `discriminator/memorised`: 2 P(logit of a training image > logit of a holdout image) - 1; 0 if the
            discriminator treats both alike, 1 if it has memorised its training images.
        """
        train = logits(self._train, self._train_codes)
        holdout = logits(self._holdout, self._codes)
        above = mannwhitneyu(train, holdout).statistic / (len(train) * len(holdout))
        return {
            DISTANCE: sliced_wasserstein(self._holdout, sample(self._codes)),
            MEMORISED: float(2 * above - 1),
        }


def warnings(point: Mapping[str, float]) -> dict[str, str]:
    """Warnings that a point of the curves gives rise to: metric -> what it means and what to do."""
    messages = {}
    if point.get(MEMORISED, 0.0) > TOO_MUCH:
        messages[MEMORISED] = (
            f"the discriminator memorises its training images ({MEMORISED} is {point[MEMORISED]:.2f}, 0 is ideal); "
            "add images, or set train.diffaugment=flip+colour+translation+cutout"
        )
    if point.get(VARIETY, 1.0) < TOO_LITTLE:
        messages[VARIETY] = (
            f"samples vary only {point[VARIETY]:.2f} times as much as real images: the generator is collapsing; "
            "raise train.gamma or lower train.learning_rate"
        )
    return messages


def _subset(dataset: ImageSet, split: Split, labels: Mapping[str, list[str]]) -> tuple[Pixels, NDArray[np.int32]]:
    """Evenly spaced images of a split, since an image set may be ordered by class; their pixels and labels."""
    return dataset.load(split, tuple(labels), random_subset(dataset.info.counts[split].total, IMAGES))
