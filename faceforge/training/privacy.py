"""Differentially private training: its budget, its noise, and what the bundle states about it.

Only the discriminator sees real images. In every step each of them is in the batch independently with the same
probability, the gradient of each is clipped, and Gaussian noise is added to their sum (`private_gradients`). The
generator sees the discriminator only, and labels of samples are uniform. All that follows from the noisy gradients,
such as both networks and all samples, is as private as they are (post-processing: Dwork & Roth 2014, proposition 2.1).
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from faceforge.config import TrainConfig
from faceforge.data.imageset.info import DatasetInfo
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import BundleInfo
from faceforge.models.privacy import PrivacyStatement, PrivateSteps
from faceforge.training.accountant import accountant_name, epsilon, noise_multiplier

_OVERFLOW = 1e-3  # share of delta that is set aside for batches larger than their arrays


class Start(NamedTuple):
    """What the initial weights of a private training have seen.

    Attributes:
        spent: steps with differential privacy, on images that may be the same.
        public: digest of the image set of a training without differential privacy; empty = none.
    """

    spent: tuple[PrivateSteps, ...] = ()
    public: str = ""


RANDOM = Start()  # random initial weights


@dataclass(frozen=True)
class PrivacyPlan:
    """How a training keeps to its privacy budget.

    Attributes:
        recipe: the training recipe.
        noise: standard deviation of the noise over the clipping norm.
        rate: probability of each image to be in a batch.
        capacity: rows of a batch's arrays; larger samples are cut off.
        key: secret numbers that samples and noise are drawn from. Who knows them can subtract the noise: they are in
            checkpoints, never in a bundle.
        start: what the initial weights have seen.
    """

    recipe: TrainConfig
    noise: float
    rate: float
    capacity: int
    key: tuple[int, int]
    start: Start = RANDOM

    @staticmethod
    def make(recipe: TrainConfig, images: int, steps: int, start: Start = RANDOM) -> PrivacyPlan:
        """The plan of a new run of `steps` steps on `images` images, with a new secret key.

        Raises:
            FaceForgeError: the budget is spent or cannot be kept, or dp-accounting is not installed.
        """
        rate = recipe.batch_size / images
        delta = recipe.dp_delta * (1 - _OVERFLOW)
        noise = noise_multiplier(recipe.dp_epsilon, delta, rate, steps, start.spent)
        capacity = _capacity(images, rate, steps, recipe.dp_epsilon, recipe.dp_delta)
        return PrivacyPlan(recipe, noise, rate, capacity, (secrets.randbits(64), secrets.randbits(64)), start)

    def statement(self, steps: int) -> PrivacyStatement:
        """What the model guarantees after `steps` steps."""
        taken = PrivateSteps(noise_multiplier=self.noise, sampling_rate=self.rate, steps=steps)
        spent = [*self.start.spent, taken]
        return PrivacyStatement(
            epsilon=epsilon(spent, self.recipe.dp_delta * (1 - _OVERFLOW)),
            delta=self.recipe.dp_delta,
            accountant=accountant_name(),
            clip=self.recipe.dp_clip,
            spent=spent,
            public_start=self.start.public,
        )

    def summary(self) -> str:
        """One line for logs."""
        earlier = sum(part.steps for part in self.start.spent)
        spent = f", after {earlier:,} steps of the start model" if earlier else ""
        return (
            f"epsilon {self.recipe.dp_epsilon:g}, delta {self.recipe.dp_delta:g}; noise {self.noise:.3g} times the"
            f" clipping norm {self.recipe.dp_clip:g}, each image in {self.rate:.2%} of the batches{spent}"
        )

    def facts(self) -> dict[str, Any]:
        """What a checkpoint stores, so that steps that are repeated after an interruption get the same noise."""
        return {"noise": self.noise, "key": list(self.key)}

    def resumed(self, facts: dict[str, Any]) -> PrivacyPlan:
        """The plan of a run that continues from a checkpoint."""
        return replace(self, noise=facts["noise"], key=tuple(facts["key"]))


def check_private(dataset: DatasetInfo, recipe: TrainConfig, data: Path) -> None:
    """Checks that a model can be trained on an image set with differential privacy.

    Raises:
        FaceForgeError: it cannot.
    """
    count = dataset.counts["train"].total
    if recipe.dp_delta >= 1 / count:
        raise FaceForgeError(
            f"train.dp_delta = {recipe.dp_delta:g} is too large for {count:,} training images: publishing one of them"
            f" at random would satisfy it; set it well below {1 / count:.2g}"
        )
    if dataset.parent_digest not in ("", dataset.digest):
        raise FaceForgeError(
            f"{data} was made from another image set, so several of its images may show one original, and"
            " train.dp_epsilon protects single images; train on the image set that ingest wrote"
        )
    accountant_name()


def examine_start(start: Path | None, dataset: ImageSet) -> Start:
    """What the initial weights, of the bundle `start` or random, have seen.

    Raises:
        FaceForgeError: they come from a training without differential privacy on this image set.
    """
    if start is None:
        return RANDOM
    from faceforge.evaluation.evaluate import trained_without

    info = BundleInfo.read(start)
    if info.privacy is not None:
        # Steps count even if their images were others: they may overlap.
        found = Start(tuple(info.privacy.spent), info.privacy.public_start)
        same = found.public == dataset.info.digest
    else:
        found = Start(public=info.dataset_digest)
        holdout = {record.sha256 for record in dataset.records("holdout", images=False)}
        same = trained_without(info, dataset.info, holdout)  # of the holdout, since it is the same data
    if same:
        raise FaceForgeError(
            f"{start} was trained on the same images without differential privacy, which train.dp_epsilon cannot undo;"
            " start from new weights, or from a model of other images"
        )
    return found


def _capacity(images: int, rate: float, steps: int, target: float, delta: float) -> int:
    """The fewest rows that a sample exceeds so rarely that cutting it off costs less than a share of delta.

    A process that differs with probability p from an (epsilon, delta)-private one is (epsilon, delta +
    (1 + e^epsilon) p)-private (Chua et al. 2024, "Scalable DP-SGD", theorem 3.3).
    """
    from scipy.stats import binom

    allowed = _OVERFLOW * delta / ((1 + math.exp(min(target, 500.0))) * steps)
    return min(images, int(binom.isf(allowed, images, rate)))
