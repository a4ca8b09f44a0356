"""The ways to train a classifier that are compared: baselines without samples, and uses of samples.

All take the same number of steps and start from the same weights; images are mirrored at random in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        name: in results and metrics.
        title: in tables.
        description: which images and which loss.
        uses_samples: whether synthetic images are trained on; otherwise a baseline.
    """

    name: str
    title: str
    description: str
    uses_samples: bool = False


BASELINES = (
    Method("real", "real images", "the real images as they are"),
    Method("logit_adjusted", "logit adjustment", "real images, logit-adjusted loss (Menon et al. 2021)"),
    Method("jitter", "jitter", "real images, small classes repeated up to the largest, with mild random jitter"),
    Method("both", "logit adjustment and jitter", "real images with mild random jitter, logit-adjusted loss"),
)
USES = (
    Method("filled_up", "classes filled up", "real images, small classes filled up with samples; jitter", True),
    Method("half_mix", "half of each class", "classes equally often, half of each real and half samples; jitter", True),
    Method("pretraining", "pre-training", "first half of the steps on samples, then as `jitter`", True),
)
MORE_REAL = Method(
    "more_real", "more real images", "as `jitter`, with the additional real images: what samples replace"
)


class Pool(NamedTuple):
    """All images that can be trained on.

    Attributes:
        images: uint8 (N, S, S, C).
        codes: the class of each, int (N,).
        origin: int (N,): `REAL`, `SAMPLE` or `MORE`.
        classes: number of classes.
    """

    images: NDArray[np.uint8]
    codes: NDArray[np.integer]
    origin: NDArray[np.integer]
    classes: int


REAL, SAMPLE, MORE = range(3)


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    Attributes:
        probability: of each image of the pool to be drawn, float (N,), sums to 1.
        share: of all steps.
        learning_rate: at its start; it falls to 0 on a cosine.
        jitter: whether images are jittered.
        adjusted: whether the log of the class frequencies is added to the logits in the loss.
    """

    probability: NDArray[np.float64]
    share: float = 1.0
    learning_rate: float = LEARNING_RATE
    jitter: bool = False
    adjusted: bool = False


def phases(method: Method, pool: Pool, seed: int) -> list[Phase]:
    """How `method` trains on the pool; `seed` chooses which samples fill a class up."""
    real = pool.origin == REAL
    balanced = Phase(_balanced(pool.codes, real), jitter=True)
    match method.name:
        case "real":
            return [Phase(real / real.sum())]
        case "logit_adjusted":
            return [Phase(real / real.sum(), adjusted=True)]
        case "jitter":
            return [balanced]
        case "both":
            return [Phase(real / real.sum(), jitter=True, adjusted=True)]
        case "filled_up":
            chosen = real | _filling(pool, seed)
            return [Phase(chosen / chosen.sum(), jitter=True)]
        case "half_mix":
            return [Phase(_half_mix(pool), jitter=True)]
        case "pretraining":
            first = Phase(_balanced(pool.codes, _samples_or_real(pool)), share=0.5)
            return [first, replace(balanced, share=0.5, learning_rate=LEARNING_RATE / 2)]
        case "more_real":
            return [Phase(_balanced(pool.codes, real | (pool.origin == MORE)), jitter=True)]
    raise ValueError(f"no method {method.name!r}")


def _balanced(codes: NDArray[np.integer], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Every class that occurs among the chosen images equally often, their images equally often within it."""
    counts = np.bincount(codes[chosen], minlength=int(codes.max()) + 1)
    weights = np.where(chosen, 1 / np.maximum(counts[codes], 1), 0.0)
    return weights / weights.sum()


def _filling(pool: Pool, seed: int) -> NDArray[np.bool_]:
    """Samples that fill every class up to the largest, as far as there are enough."""
    rng = np.random.default_rng([seed, 11])
    counts = np.bincount(pool.codes[pool.origin == REAL], minlength=pool.classes)
    chosen = np.zeros(len(pool.codes), bool)
    for code in range(pool.classes):
        available = np.flatnonzero((pool.origin == SAMPLE) & (pool.codes == code))
        wanted = min(int(counts.max() - counts[code]), len(available))
        chosen[rng.choice(available, wanted, replace=False)] = True
    return chosen


def _half_mix(pool: Pool) -> NDArray[np.float64]:
    """Classes equally often; half of a class are samples, if it has any."""
    real, samples = (_balanced(pool.codes, pool.origin == origin) for origin in (REAL, SAMPLE))
    per_class = {
        name: np.bincount(pool.codes, weights=weights, minlength=pool.classes) > 0
        for name, weights in (("real", real), ("samples", samples))
    }
    both = (per_class["real"] & per_class["samples"])[pool.codes]
    # Within a class each kind weighs 1 in all; a class with one kind only weighs 2, as much as one with both.
    weights = real * per_class["real"].sum() + samples * per_class["samples"].sum()
    weights = np.where(both, weights, 2 * weights)
    return weights / weights.sum()


def _samples_or_real(pool: Pool) -> NDArray[np.bool_]:
    """The samples, and the real images of classes without samples."""
    with_samples = np.bincount(pool.codes[pool.origin == SAMPLE], minlength=pool.classes) > 0
    return (pool.origin == SAMPLE) | ((pool.origin == REAL) & ~with_samples[pool.codes])
