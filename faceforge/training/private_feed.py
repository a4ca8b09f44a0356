"""Batches for training with differential privacy: Poisson samples of the images, drawn from a secret key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.training.feed import Feed, InMemory
from faceforge.training.privacy import PrivacyPlan

_SEEDS = 2**31 - 2**20  # noise of later arrays adds to the seed


class PoissonFeed:
    """A feed in whose batches each image is independently with the same probability; see `Feed`.

    All batches have `plan.capacity` rows. Those beyond the sample hold other images and are not `present`, so that
    they count for the metrics of the curves only.

    Attributes:
        plan: probability, capacity and key; replaced when a run resumes.

    Args:
        feed: the images, in memory.
        plan: of the run.
        classes: number of classes of each label column.

    Raises:
        FaceForgeError: the images do not fit into memory.
    """

    def __init__(self, feed: Feed, plan: PrivacyPlan, classes: tuple[int, ...]) -> None:
        if not isinstance(feed, InMemory):
            raise FaceForgeError(
                "train.dp_epsilon draws images at random, which needs them in memory, and they do not fit; use a"
                " machine with more memory, or a smaller ingest.image_size"
            )
        self.plan, self._feed, self._classes = plan, feed, classes
        self.resident, self.waited = feed.resident, 0.0
        # Frequencies of labels are private, so whatever needs labels of no image in particular gets uniform ones.
        rng = np.random.default_rng(0)
        self.codes = rng.integers(classes, size=feed.codes.shape, dtype=np.int32)

    def batch(self, step: int) -> dict[str, NDArray[Any]]:
        """The batch of a step; besides the images and labels of `Feed.batch`:

        - `present` float32 (B,): 1 for images of the sample, 0 for other rows
        - `fake_labels` int32 (B, columns): uniform labels for the samples of the generator
        - `noise_seed` int32 (2,): secret seed of the step's noise
        """
        key = np.array(self.plan.key, np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, step]))
        total, capacity = len(self.codes), self.plan.capacity
        sample = np.flatnonzero(rng.random(total) < self.plan.rate)[:capacity]
        filling = rng.integers(total, size=capacity - len(sample))
        return {
            **self._feed.take(np.concatenate([sample, filling])),
            "present": (np.arange(capacity) < len(sample)).astype(np.float32),
            "fake_labels": rng.integers(self._classes, size=(capacity, len(self._classes)), dtype=np.int32),
            "noise_seed": rng.integers(_SEEDS, size=2, dtype=np.int32),
        }

    def close(self) -> None:
        """See `Feed.close`."""
        self._feed.close()
