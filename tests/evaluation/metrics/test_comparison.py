"""Intervals contain the true value as often as stated, and equal models are not reported as different."""

import math

import numpy as np
import pytest

from faceforge.evaluation.metrics.comparison import Comparison, Evidence, Interval, compare_models, interval
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.precision_recall import overlap, recalled_images

D = 8


def evidence(rng: np.random.Generator, real: np.ndarray, n: int, shift: float = 0.0, agrees: float = 0.9) -> Evidence:
    features = rng.normal(size=(n, D)) + shift
    return Evidence(features, recalled_images(real, features, k=3), (rng.random(n) < agrees).astype(float))


def compared(rng: np.random.Generator, first: float, second: float, n: int = 200, resamples: int = 60) -> Comparison:
    """Two models whose samples are shifted by given amounts."""
    real = rng.normal(size=(n, D))
    models = evidence(rng, real, n, first), evidence(rng, real, n, second)
    return compare_models(real, *models, resamples=resamples, confidence=0.95, seed=int(rng.integers(1000)))


def test_values_are_the_metrics_themselves() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(150, D))
    new, old = evidence(rng, real, 150, 0.2, agrees=0.8), evidence(rng, real, 150, 0.6)
    comparison = compare_models(real, new, old, resamples=100, confidence=0.9, seed=1)
    frechet = [frechet_from_features(real, model.features) for model in (new, old)]
    differences = comparison.differences
    assert comparison.candidate["domain/frechet"].value == pytest.approx(frechet[0])
    assert comparison.candidate["domain/recall"].value == overlap(real, new.features, k=3).recall
    assert differences["domain/frechet"].value == pytest.approx(1 - frechet[0] / frechet[1])
    assert differences["domain/label_agreement"].value == pytest.approx(new.agreement.mean() - old.agreement.mean())
    for known in (*comparison.candidate.values(), *differences.values()):
        assert known.low < known.value < known.high


def test_equal_models_are_rarely_reported_as_different() -> None:
    rng = np.random.default_rng(1)
    gains = [compared(rng, 0.3, 0.3).differences["domain/frechet"] for _ in range(60)]
    assert sum(gain.low > 0 or gain.high < 0 for gain in gains) <= 7  # 3 expected; 8 or more: 1 in 70
    assert sum(gain.low > 0.02 for gain in gains) <= 3  # the gate would promote these


def test_intervals_contain_the_true_value_at_the_stated_rate_and_are_not_too_wide() -> None:
    rng, repeats = np.random.default_rng(2), 60
    truth = {"domain/frechet": [], "domain/recall": []}  # type: ignore[var-annotated]
    zero = {"domain/frechet": 0, "domain/recall": 0, "domain/label_agreement": 0}
    for _ in range(repeats):
        comparison = compared(rng, 0.4, 0.4)
        for name, values in truth.items():
            values.append(comparison.candidate[name])
        for name in zero:
            difference = comparison.differences[name]
            zero[name] += difference.low <= 0 <= difference.high
    for name, known in truth.items():
        estimates = np.array([one.value for one in known])
        covered = np.mean([one.low <= estimates.mean() <= one.high for one in known])
        assert covered >= 0.88, name  # 95 % less 2.5 standard errors
        stated = np.array([one.high - one.low for one in known]) / (2 * 1.96)
        assert stated.mean() == pytest.approx(estimates.std(), rel=0.35), name
    assert min(zero.values()) >= 0.88 * repeats, zero


def test_a_real_difference_is_seen() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        assert compared(rng, 0.3, 0.5).differences["domain/frechet"].low > 0.1


def test_more_images_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(3)
    few, many = (compared(rng, 0.3, 0.4, n).differences["domain/frechet"] for n in (100, 1600))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(100, D))
    same = evidence(rng, real, 100, 0.3)
    comparison = compare_models(real, same, same, resamples=100, confidence=0.95, seed=0)
    assert {(known.low, known.value, known.high) for known in comparison.differences.values()} == {(0.0, 0.0, 0.0)}


def test_the_same_seed_gives_the_same_interval_and_unlabelled_models_have_no_agreement() -> None:
    rng = np.random.default_rng(5)
    real = rng.normal(size=(80, D))
    model = evidence(rng, real, 80)._replace(agreement=np.zeros(0))
    first, second = (compare_models(real, model, None, resamples=100, confidence=0.95, seed=7) for _ in range(2))
    assert first == second
    assert set(first.candidate) == {"domain/frechet", "domain/recall"}
    assert first.differences == {}


def test_features_that_are_not_finite_have_no_interval() -> None:
    rng = np.random.default_rng(6)
    real = rng.normal(size=(80, D))
    good = evidence(rng, real, 80)
    broken = good._replace(features=np.full((80, D), np.nan))
    for pair in ((broken, good), (good, broken)):
        comparison = compare_models(real, *pair, resamples=100, confidence=0.95, seed=0)
        assert not comparison.differences["domain/frechet"].known
        assert not comparison.differences["domain/recall"].known
    assert not interval(math.nan, 1.0, 0.95).known
    assert not interval(0.0, math.nan, 0.95).known
    assert not Interval(value=0, low=-math.inf, high=1).known


def test_interval_of_a_normal_estimate() -> None:
    known = interval(1.0, 0.1, 0.95)
    assert (known.low, known.high) == (pytest.approx(0.804, abs=1e-4), pytest.approx(1.196, abs=1e-4))
