"""Membership inference: how well an attacker tells training images from other images of the same kind.

Two attacks: by the samples (images nearest to a sample are taken for training images: Chen et al. 2020, "GAN-Leaks")
and by the discriminator (images with the highest scores: Hayes et al. 2019, "LOGAN"). Each is measured by its AUC, the
probability that a training image ranks above a holdout image: 0.5 = no leak, 1 = every training image is recognised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.pixel_features import thumbnails
from faceforge.evaluation.diagnostics.rates import auc_interval
from faceforge.evaluation.metrics.neighbours import Points, nearest

WARNING = 0.55  # AUC above which a leak is reported, if the interval does not reach 0.5
_EDGE = 32  # pixels: larger images are averaged down before their pixels are compared
_PREFIX = "privacy/membership_auc_"


class Attack(NamedTuple):
    """AUC of an attack with its 95 % interval; NaN = not known."""

    auc: float
    low: float
    high: float

    @staticmethod
    def measured(members: NDArray[np.floating], others: NDArray[np.floating]) -> Attack:
        """From the scores of training images and of holdout images; higher = taken for a training image."""
        return Attack(*auc_interval(members, others))

    @property
    def leaks(self) -> bool:
        """Whether it is above `WARNING`, and not by chance."""
        return self.auc > WARNING and self.low > 0.5


UNKNOWN = Attack(math.nan, math.nan, math.nan)


def scores_by_samples(real: Points, generated: Sequence[Points]) -> NDArray[np.float64]:
    """Score of each real image: minus the distance to its nearest sample, in any of the views of the samples."""
    return -nearest(real, np.concatenate(generated))[0].distance


def pixel_views(images: NDArray[np.uint8]) -> list[Points]:
    """The pixels of images and of their mirror images, (N, D) each."""
    small = thumbnails(images, _EDGE)
    return [view.reshape(len(view), -1) for view in (small, small[:, :, ::-1])]


def attack_by_pixels(train: NDArray[np.uint8], holdout: NDArray[np.uint8], fake: NDArray[np.uint8]) -> Attack:
    """The attack by the samples on the pixels of 32 px images, mirrored or not; images uint8 (N, H, W, C)."""
    generated = pixel_views(fake)
    return Attack.measured(*(scores_by_samples(pixel_views(real)[0], generated) for real in (train, holdout)))


def membership_attacks(metrics: Mapping[str, float]) -> dict[str, Attack]:
    """The attacks among the metrics of an evaluation: `pixels`, `features` (by samples) and `discriminator`."""
    names = [name for name in ("pixels", "features", "discriminator") if f"{_PREFIX}{name}" in metrics]
    return {
        name: Attack(*(metrics.get(f"{_PREFIX}{name}{end}", math.nan) for end in ("", "_low", "_high")))
        for name in names
    }


def as_metrics(attack: Attack, name: str) -> dict[str, float]:
    """An attack as metrics: AUC, and both ends of its interval."""
    return {f"{_PREFIX}{name}{end}": value for end, value in zip(("", "_low", "_high"), attack, strict=True)}


def membership_summary(metrics: Mapping[str, float]) -> str:
    """The attacks in one line; empty if none was made."""
    shown = [f"{_TITLES[name]} {_with_interval(attack)}" for name, attack in membership_attacks(metrics).items()]
    return f"membership inference (0.5 = no leak): {', '.join(shown)}" if shown else ""


def membership_warnings(metrics: Mapping[str, float]) -> list[str]:
    """A sentence for each kind of leak that the attacks show."""
    leaks = {name: attack for name, attack in membership_attacks(metrics).items() if attack.leaks}
    sentences = []
    by_samples = [name for name in leaks if name != "discriminator"]
    if by_samples:
        name = max(by_samples, key=lambda name: leaks[name].auc)
        sentences.append(
            f"warning: the samples reveal which images were trained on ({_with_interval(leaks[name])}): do not publish"
            " them if that is a secret; train on more images or for a shorter time, or with differential privacy"
            " (docs/privacy.md)"
        )
    if "discriminator" in leaks:
        sentences.append(
            "warning: the discriminator reveals which images were trained on"
            f" ({_with_interval(leaks['discriminator'])}): do not give it away; exported and registered models leave"
            " it out (docs/privacy.md)"
        )
    return sentences


_TITLES = {"pixels": "samples, by pixels", "features": "samples, by features", "discriminator": "discriminator"}


def _with_interval(attack: Attack) -> str:
    return f"{attack.auc:.2f} ({attack.low:.2f} to {attack.high:.2f})"
