"""What is measured now and then on images kept from training, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from faceforge.data.imageset.reader import ImageSet, Split
from faceforge.data.pixels import Pixels
from faceforge.data.sources.samples import spread
from faceforge.evaluation.metrics.sliced_wasserstein import sliced_wasserstein

IMAGES = 512  # of each split: enough to see a trend, few enough to take seconds
DISTANCE, MEMORISED, VARIETY = "holdout/sliced_wasserstein", "discriminator/memorised", "samples/variety"
TOO_MUCH, TOO_LITTLE = 0.5, 0.1

Scores = NDArray[np.float32]


class HoldoutCheck:
    """Compares samples with the holdout, and the discriminator's logits on it with those on training images.

    Args:
        dataset: image set.
        labels: the condition columns.
    """

    def __init__(self, dataset: ImageSet, labels: Mapping[str, list[str]]) -> None:
        self._holdout, self._codes = _some(dataset, "holdout", labels)
        self._train, self._train_codes = _some(dataset, "train", labels)

    def measure(
        self,
        sample: Callable[[NDArray[np.int32]], Pixels],
        logits: Callable[[Pixels, NDArray[np.int32]], Scores],
    ) -> dict[str, float]:
        """The numbers of a moment.

        Args:
            sample: labels (N, columns) -> samples uint8 (N, H, W, C).
            logits: images and labels -> logits (N,).

        Returns:
            `holdout/sliced_wasserstein` between samples with the holdout's labels and the holdout, smaller is better;
            `discriminator/memorised` = 2 P(logit of a training image > logit of a holdout image) - 1: 0 if it knows
            neither, 1 if it knows its training images by heart.
        """
        ours = logits(self._train, self._train_codes)
        theirs = logits(self._holdout, self._codes)
        above = mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
        return {
            DISTANCE: sliced_wasserstein(self._holdout, sample(self._codes)),
            MEMORISED: float(2 * above - 1),
        }


def warnings(point: Mapping[str, float]) -> dict[str, str]:
    """What a point of the curves warns of, by the name of the metric: what it means and what to do."""
    found = {}
    if point.get(MEMORISED, 0.0) > TOO_MUCH:
        found[MEMORISED] = (
            f"the discriminator tells training images from unseen ones ({point[MEMORISED]:.2f}, 0 is ideal): it learns "
            "them by heart; add images, or set train.diffaugment=flip+colour+translation+cutout"
        )
    if point.get(VARIETY, 1.0) < TOO_LITTLE:
        found[VARIETY] = (
            f"samples vary {point[VARIETY]:.2f} times as much as real images do: the generator is collapsing; "
            "raise train.gamma or lower train.learning_rate"
        )
    return found


def _some(dataset: ImageSet, split: Split, labels: Mapping[str, list[str]]) -> tuple[Pixels, NDArray[np.int32]]:
    """From everywhere, because an image set may be ordered by class."""
    return dataset.load(split, tuple(labels), spread(dataset.info.counts[split].total, IMAGES))
