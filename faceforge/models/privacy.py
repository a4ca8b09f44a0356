"""What a model's training with differential privacy guarantees: stored in the bundle, shown wherever the model is.

The definition is that of Dwork et al. (2006): with epsilon and delta, adding or removing one training image changes the
probability of any outcome of the training by at most a factor of e^epsilon, up to delta.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

UNIT = "one training image, added or removed"
COVERED = "both networks and everything generated with them"
NOT_COVERED = (
    "everything else that is computed from the real images and not part of the model: statistics, class counts and"
    " pictures of ingest, the training curves on real and holdout images, and the evaluation with its report",
    "the holdout images: they are not trained on, but the evaluation uses them, and bundle.json has hashes of some",
    "a person of whom there are several training images: epsilon and delta hold for each single image",
    "the choice of settings: a search that trains several models on the same images spends more, unaccounted",
    "the number of training images, their size and the names of the classes, which are taken to be public",
    "initial weights of a model that was trained on other images",
)


class PrivateSteps(BaseModel):
    """Training steps under the same conditions.

    Attributes:
        noise_multiplier: standard deviation of the noise on the sum of gradients, over the clipping norm.
        sampling_rate: probability of each training image to be in a batch (Poisson sampling).
        steps: number of steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_multiplier: float
    sampling_rate: float
    steps: int


class PrivacyStatement(BaseModel):
    """Epsilon and delta that the training of a model has spent, and how they were accounted.

    Attributes:
        epsilon: upper bound of the privacy loss, over all of `spent`.
        delta: probability with which the bound may be exceeded.
        accountant: method, library and version that computed epsilon.
        clip: norm to which the gradient of each image was clipped, in the last training.
        public_start: digest of the image set of the model that the training started from, if that was trained without
            differential privacy: those images are not protected. Empty: the first weights were random.
        spent: all steps on real images, those of the models that the weights were taken from included.
        unit: what one addition or removal is.
        covered: what the guarantee holds for.
        not_covered: what it does not hold for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float
    delta: float
    accountant: str
    clip: float
    spent: list[PrivateSteps]
    public_start: str = ""
    unit: str = UNIT
    covered: str = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED

    def summary(self) -> str:
        """One line for logs, reports and cards."""
        start = "; it started from a model of other images, which are not protected" if self.public_start else ""
        return (
            f"trained with differential privacy: epsilon {self.epsilon:.3g}, delta {self.delta:.3g}"
            f" for {self.unit} ({self.accountant}){start}"
        )
