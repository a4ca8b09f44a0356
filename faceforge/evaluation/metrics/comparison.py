"""How sure a difference between two models is: bootstrap intervals over the images behind the numbers.

Efron (1979), "Bootstrap methods: another look at the jackknife". Both models are resampled together: the same holdout
images, and the same positions among the samples, whose latents and labels they share. What the intervals cover is the
luck of the draw of holdout images and samples, not that of another training with another seed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.metrics.frechet import frechet_distance, gaussian
from faceforge.progress import Progress

FRECHET, RECALL, AGREEMENT = "domain/frechet", "domain/recall", "domain/label_agreement"


class Interval(BaseModel):
    """A number and the range that holds it at the stated confidence; all NaN when it cannot be had.

    Attributes:
        value: as measured.
        low: lower end.
        high: upper end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether all three are finite."""
        return all(math.isfinite(number) for number in (self.value, self.low, self.high))


class Evidence(NamedTuple):
    """What one model's numbers are made of; row i of two models has the same latents and labels.

    Attributes:
        features: of the compared samples, float (n, D).
        recalled: whether each of the n holdout images lies among the samples, bool (n,).
        obeyed: share of label columns in which each sample shows what was asked for, float (S,); empty if unlabelled.
    """

    features: NDArray[np.floating]
    recalled: NDArray[np.bool_]
    obeyed: NDArray[np.floating]


class Comparison(NamedTuple):
    """Intervals by metric.

    Attributes:
        candidate: of the candidate's own numbers.
        differences: candidate against champion: the relative drop of `domain/frechet` (0.1 = 10 % lower), for the
            others candidate minus champion. Above 0 is better in all. Empty without a champion.
    """

    candidate: dict[str, Interval]
    differences: dict[str, Interval]


def compare(
    real: NDArray[np.floating],
    candidate: Evidence,
    champion: Evidence | None,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Comparison:
    """Intervals of a candidate's metrics and of its differences from the champion's.

    Args:
        real: features of the holdout images, float (n, D).
        candidate: what its numbers are made of.
        champion: the same of the champion; None = there is none.
        resamples: how often to draw.
        confidence: share of intervals that hold the true number, for example 0.95.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 3])
    models = [candidate] if champion is None else [candidate, champion]
    measured = [_numbers(real, model, None, None, None) for model in models]
    drawn: list[list[dict[str, float]]] = [[] for _ in models]
    with Progress("intervals", resamples, unit="resample") as progress:
        for _ in range(resamples):
            images, samples = rng.integers(0, len(real), len(real)), rng.integers(0, len(real), len(real))
            asked = rng.integers(0, len(candidate.obeyed), len(candidate.obeyed)) if candidate.obeyed.size else None
            for place, model in enumerate(models):
                drawn[place].append(_numbers(real, model, images, samples, asked))
            progress.advance(1)
    own = {
        name: interval(value, np.array([draw[name] for draw in drawn[0]]), confidence)
        for name, value in measured[0].items()
    }
    if champion is None:
        return Comparison(own, {})
    differences = {
        name: interval(
            _better_by(name, measured[0][name], measured[1][name]),
            np.array([_better_by(name, new[name], old[name]) for new, old in zip(*drawn, strict=True)]),
            confidence,
        )
        for name in measured[0]
        if name in measured[1]
    }
    return Comparison(own, differences)


def interval(value: float, draws: NDArray[np.floating], confidence: float) -> Interval:
    """The quantiles of `draws`, shifted so that their mean is `value`.

    The shift takes out the bootstrap's own bias: a Frechet distance of resampled images is larger than that of the
    images themselves, as fewer of them are distinct.
    """
    if not (math.isfinite(value) and draws.size and np.isfinite(draws).all()):
        return Interval(value=value, low=math.nan, high=math.nan)
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2]) - draws.mean() + value
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _better_by(name: str, new: float, old: float) -> float:
    if name != FRECHET:
        return new - old
    return (old - new) / old if old > 0 else math.nan


def _numbers(
    real: NDArray[np.floating],
    model: Evidence,
    images: NDArray[np.integer] | None,
    samples: NDArray[np.integer] | None,
    asked: NDArray[np.integer] | None,
) -> dict[str, float]:
    """The metrics of the drawn rows; None = all of them, once."""
    whole = slice(None)
    holdout, made = real[whole if images is None else images], model.features[whole if samples is None else samples]
    finite = np.isfinite(holdout).all() and np.isfinite(made).all()
    found = {
        FRECHET: frechet_distance(*gaussian(holdout), *gaussian(made)) if finite else math.nan,
        RECALL: float(model.recalled[whole if images is None else images].mean()),
    }
    if model.obeyed.size:
        found[AGREEMENT] = float(model.obeyed[whole if asked is None else asked].mean())
    return found
