"""Metrics of a model per class, their worst values over all classes, and the report's table of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.figures import Table


class ClassScores(BaseModel):
    """Metrics of one class; NaN = not known.

    Attributes:
        column, name: label column and class.
        train_images, holdout_images: real images of the class that the metrics use.
        samples: generated images of the class.
        agreement: share of the samples that are predicted as the class, with prior-corrected logits; `_low` and `_high`
            are its 95 % interval.
        real_agreement: the same share for the holdout images of the class; `_low` and `_high` likewise.
        copies: samples that count as copies of training images, in the space with most of them.
        copies_limit: largest count that chance gives.
        near_exact_copies: near-exact copies.
        diversity: root mean square distance between samples divided by that between real images of the class.
        nearest: median distance between a sample and its nearest other sample, divided by the same for as many real
            images; near 0 = a few images are repeated.
        membership: AUC of the membership attack by the samples of the class, 0.5 = no leak; `_low` and `_high` are its
            95 % interval.
        membership_discriminator: the same of the attack by the discriminator.
        frechet: distance to the real images of the class in the features of the domain classifier, divided by the
            distance of the real images of all other classes to them; 1 = as far away as images of other classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    column: str
    name: str
    train_images: int
    holdout_images: int
    samples: int
    agreement: float
    agreement_low: float
    agreement_high: float
    real_agreement: float
    real_agreement_low: float
    real_agreement_high: float
    copies: int
    copies_limit: int
    near_exact_copies: int
    diversity: float
    nearest: float
    frechet: float
    membership: float = math.nan
    membership_low: float = math.nan
    membership_high: float = math.nan
    membership_discriminator: float = math.nan
    membership_discriminator_low: float = math.nan
    membership_discriminator_high: float = math.nan

    @property
    def title(self) -> str:
        """Column and class."""
        return f"{self.column}={self.name}"

    @property
    def relative_agreement(self) -> float:
        """Agreement of samples divided by that of real images; NaN if the classifier recognises no real image."""
        return self.agreement / self.real_agreement if self.real_agreement > 0 else math.nan


def worst_class(scores: Sequence[ClassScores]) -> ClassScores | None:
    """The class whose samples agree least with the label, relative to real images; None without classes."""
    known = [score for score in scores if math.isfinite(score.relative_agreement)]
    return min(known, key=lambda score: score.relative_agreement) if known else None


def class_table(scores: Sequence[ClassScores]) -> Table:
    """The metrics per class as a table, the worst class first."""

    def with_real(score: ClassScores) -> str:
        real = "" if math.isnan(score.real_agreement) else f" (real {score.real_agreement:.2f})"
        return f"{score.agreement:.2f}{real}"

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    ordered = sorted(scores, key=lambda score: np.nan_to_num(score.relative_agreement, nan=np.inf))
    return Table(
        title="Classes",
        caption=(
            "From equal numbers of samples of every class; the worst class first. Agreement: share of samples predicted"
            " as the class, and the same for real holdout images. Copies: in brackets the largest number that chance"
            " gives. Diversity and nearest: distances between samples divided by those between real images of the"
            " class, 1 = as varied. Membership: AUC of the attacks that look for training images of the class by the"
            " samples and by the discriminator, with 95 % intervals; 0.5 = no leak. Frechet: distance to the real"
            " images of the class divided by that of all other classes, 1 = as far away as other classes."
        ),
        columns=[
            *("class", "training", "holdout", "samples", "agreement", "copies", "diversity", "nearest", "Frechet"),
            *("membership by samples", "by discriminator"),
        ],
        rows=[
            [
                score.title,
                *(score.train_images, score.holdout_images, score.samples),
                with_real(score),
                f"{score.copies} ({score.copies_limit})",
                *map(known, (score.diversity, score.nearest, score.frechet)),
                _span(score.membership, score.membership_low, score.membership_high),
                _span(
                    score.membership_discriminator,
                    score.membership_discriminator_low,
                    score.membership_discriminator_high,
                ),
            ]
            for score in ordered
        ],
    )


def class_metrics(scores: Sequence[ClassScores]) -> dict[str, float]:
    """The worst value of every metric over all classes, as `classes/...`."""
    worst: dict[str, tuple[Callable[[Sequence[float]], float], list[float]]] = {
        "agreement_lowest": (min, [score.relative_agreement for score in scores]),
        "copies_highest": (max, [score.copies / score.samples for score in scores]),
        "diversity_lowest": (min, [min(score.diversity, score.nearest) for score in scores]),
        "frechet_highest": (max, [score.frechet for score in scores]),
        # With few images some AUC is high by chance, hence the lower ends.
        "membership_highest": (max, [score.membership_low for score in scores]),
    }
    return {
        f"classes/{name}": choose(known)
        for name, (choose, values) in worst.items()
        if (known := [value for value in values if math.isfinite(value)])
    }


DESCRIPTIONS = {
    "classes/agreement_lowest": "lowest value over all classes of: share of samples predicted as the requested class,"
    " divided by the same share of holdout images; prior-corrected logits, equal numbers of samples per class",
    "classes/copies_highest": "highest share of copies of training images among the samples of a class",
    "classes/diversity_lowest": "lowest diversity of a class: distance between samples divided by that between real"
    " images, the smaller of root mean square distance and median distance to the nearest other image",
    "classes/frechet_highest": "highest value over all classes of: Frechet distance of the samples of a class to its"
    " real images, divided by the distance of the real images of all other classes; 1 = as far as other classes",
    "classes/membership_highest": "highest lower end, over all classes, of the 95 % interval of the AUC of membership"
    " inference by the samples of a class; above 0.5 = training images of a class can be distinguished from others",
}


def _span(value: float, low: float, high: float) -> str | None:
    return f"{value:.2f} ({low:.2f}-{high:.2f})" if math.isfinite(value) else None
