"""Intervals of a model's metrics and of the differences between two models.

They cover the random choice of holdout images and samples, not that of another training run with another seed. Both
models are resampled together: they share the holdout images, and row i of their samples has the same latent and labels.

- `domain/frechet`: standard error from the influence of every row (the delta method). At finite counts the distance
  also has a quadratic part, whose variance the delta method counts twice and subsampling three times. The difference of
  the two estimates therefore corrects the interval of a single distance.
- `domain/recall`: variance of a mean over the holdout images, plus that due to the samples, from random fifths of
  them with recomputed balls, scaled to all samples (Politis & Romano (1994), "Large sample confidence regions based on
  subsamples under minimal assumptions"). A bootstrap would draw rows twice, and a row's copy is its nearest neighbour.
  Larger subsets and the jackknife overstate the variance: up to 1.6 times the standard error.
- `domain/label_agreement`: standard error of a mean.

`benchmarks/coverage.py` measures how often these intervals contain the true value.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.metrics.frechet import FrechetInfluence, frechet_from_features, frechet_influence
from faceforge.evaluation.metrics.precision_recall import RecallSubsampler
from faceforge.progress import Progress

FRECHET, RECALL, AGREEMENT = "domain/frechet", "domain/recall", "domain/label_agreement"
Floats = NDArray[np.floating]


class Interval(BaseModel):
    """A number and the interval that contains its true value at the stated confidence; NaN if not known.

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
    """The data behind one model's metrics; row i of two models has the same latents and labels.

    Attributes:
        features: of the compared samples, float (n, D).
        recalled: whether each of the n holdout images lies in a ball of the samples, bool (n,).
        agreement: share of label columns in which each sample has the requested label, float (S,); empty if unlabelled.
    """

    features: Floats
    recalled: NDArray[np.bool_]
    agreement: Floats


class Comparison(NamedTuple):
    """Intervals by metric.

    Attributes:
        candidate: of the candidate's own metrics.
        differences: candidate against champion: the relative drop of `domain/frechet` (0.1 = 10 % lower), for the
            others candidate minus champion. Above 0 is better in all. Empty without a champion.
    """

    candidate: dict[str, Interval]
    differences: dict[str, Interval]


def compare_models(
    real: Floats,
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
        candidate: the data behind its metrics.
        champion: the same of the champion; None = there is none.
        resamples: number of random subsets.
        confidence: of the intervals, for example 0.95.
        seed: random seed of the subsets.
    """
    models = [candidate] if champion is None else [candidate, champion]
    finite = all(np.isfinite(features).all() for features in (real, *(model.features for model in models)))
    influences = [frechet_influence(real, model.features) if finite else None for model in models]
    subsets = _Subsets.draw(real, models, resamples, seed) if finite else None
    own, differences = {}, {}
    own[FRECHET] = interval(*_frechet(influences[0], subsets), confidence)
    recalled = [model.recalled.astype(np.float64) for model in models]
    own[RECALL] = interval(*_recall(recalled[0], subsets and subsets.recall[:, 0]), confidence)
    if candidate.agreement.size:
        own[AGREEMENT] = interval(float(candidate.agreement.mean()), _standard_error(candidate.agreement), confidence)
    if champion is not None:
        differences[FRECHET] = interval(*_frechet_gain(*influences), confidence)
        fifths = subsets and subsets.recall[:, 0] - subsets.recall[:, 1]
        differences[RECALL] = interval(*_recall(recalled[0] - recalled[1], fifths), confidence)
        if candidate.agreement.size and champion.agreement.size:
            paired = candidate.agreement - champion.agreement
            differences[AGREEMENT] = interval(float(paired.mean()), _standard_error(paired), confidence)
    return Comparison(own, differences)


def interval(value: float, standard_error: float, confidence: float) -> Interval:
    """The interval of a normally distributed estimate; its ends are NaN if value or error are not finite."""
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * float(standard_error)
    if not math.isfinite(value + reach):
        return Interval(value=value, low=math.nan, high=math.nan)
    return Interval(value=value, low=value - reach, high=value + reach)


class _Subsets(NamedTuple):
    """Metrics of random subsets."""

    frechet: NDArray[np.float64]  # (resamples,), of halves of holdout images and samples, of the candidate
    recall: NDArray[np.float64]  # (resamples, models), of all holdout images by fifths of the samples

    @classmethod
    def draw(cls, real: Floats, models: list[Evidence], resamples: int, seed: int) -> _Subsets:
        rng = np.random.default_rng([seed, 3])
        subsamplers = [RecallSubsampler(real, model.features, k=3) for model in models]
        count, samples = len(real), len(models[0].features)
        frechet, recall = np.empty(resamples), np.empty((resamples, len(models)))
        with Progress("intervals", resamples, unit="resample") as progress:
            for turn in range(resamples):
                images, rows = rng.permutation(count), rng.permutation(samples)
                halves = real[images[: count // 2]], models[0].features[rows[: samples // 2]]
                frechet[turn] = frechet_from_features(*halves)
                recall[turn] = [subsampler.recall(images, rows[: samples // 5]) for subsampler in subsamplers]
                progress.advance(1)
        return cls(frechet, recall)


def _frechet(influence: FrechetInfluence | None, subsets: _Subsets | None) -> tuple[float, float]:
    """The distance and its standard error."""
    if influence is None or subsets is None:
        return math.nan, math.nan
    first_order = influence.first.var() / len(influence.first) + influence.second.var() / len(influence.second)
    # L + 2 Q and L + 3 Q, where L + Q is the variance sought; it is at least half of the first.
    corrected = 2 * first_order - subsets.frechet.var(ddof=1)
    return influence.distance, math.sqrt(max(corrected, first_order / 2))


def _frechet_gain(new: FrechetInfluence | None, old: FrechetInfluence | None) -> tuple[float, float]:
    """The relative drop of the distance, (old - new) / old, and its standard error."""
    if new is None or old is None or not old.distance > 0:
        return math.nan, math.nan
    ratio = new.distance / old.distance
    of_real = (ratio * old.first - new.first) / old.distance
    of_samples = (ratio * old.second - new.second) / old.distance
    return 1 - ratio, math.sqrt(of_real.var() / len(of_real) + of_samples.var() / len(of_samples))


def _recall(recalled: Floats, fifths: Floats | None) -> tuple[float, float]:
    """A mean over the holdout images and its standard error, from its values for fifths of the samples.

    The variance of fifths, given all samples, is 5 - 1 times that due to all samples.
    """
    if fifths is None:
        return float(recalled.mean()), math.nan
    return float(recalled.mean()), math.hypot(_standard_error(recalled), float(fifths.std(ddof=1)) / math.sqrt(5 - 1))


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
