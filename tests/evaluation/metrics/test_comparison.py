"""Intervals hold the truth as often as they say, and a difference made by chance is not taken for one."""

import math

import numpy as np
import pytest

from faceforge.evaluation.metrics.comparison import Comparison, Evidence, Interval, compare, interval
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.precision_recall import overlap, recalled_images

D = 8


def evidence(rng: np.random.Generator, real: np.ndarray, n: int, shift: float = 0.0, obeys: float = 0.9) -> Evidence:
    features = rng.normal(size=(n, D)) + shift
    return Evidence(features, recalled_images(real, features, k=3), (rng.random(n) < obeys).astype(float))


def compared(rng: np.random.Generator, first: float, second: float, n: int = 200, resamples: int = 60) -> Comparison:
    """Two models whose samples are shifted by so much."""
    real = rng.normal(size=(n, D))
    models = evidence(rng, real, n, first), evidence(rng, real, n, second)
    return compare(real, *models, resamples=resamples, confidence=0.95, seed=int(rng.integers(1000)))


def test_values_are_the_metrics_themselves() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(150, D))
    new, old = evidence(rng, real, 150, 0.2, obeys=0.8), evidence(rng, real, 150, 0.6)
    found = compare(real, new, old, resamples=100, confidence=0.9, seed=1)
    frechet = [frechet_from_features(real, model.features) for model in (new, old)]
    assert found.candidate["domain/frechet"].value == pytest.approx(frechet[0])
    assert found.candidate["domain/recall"].value == overlap(real, new.features, k=3).recall
    assert found.differences["domain/frechet"].value == pytest.approx(1 - frechet[0] / frechet[1])
    assert found.differences["domain/label_agreement"].value == pytest.approx(new.obeyed.mean() - old.obeyed.mean())
    for span in (*found.candidate.values(), *found.differences.values()):
        assert span.low <= span.value <= span.high


def test_models_that_are_equally_good_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(1)
    gains = [compared(rng, 0.3, 0.3).differences["domain/frechet"] for _ in range(60)]
    assert sum(span.low > 0 or span.high < 0 for span in gains) <= 7  # 3 expected; 8 or more: 1 in 70
    assert sum(span.low > 0.02 for span in gains) <= 3  # what the gate would promote


def test_a_real_difference_is_seen() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        found = compared(rng, 0.3, 0.5)
        assert found.differences["domain/frechet"].low > 0.1


def test_more_images_make_it_surer() -> None:
    rng = np.random.default_rng(3)
    few, many = (compared(rng, 0.3, 0.4, n).differences["domain/frechet"] for n in (100, 1600))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(100, D))
    same = evidence(rng, real, 100, 0.3)
    found = compare(real, same, same, resamples=100, confidence=0.95, seed=0)
    assert {(span.low, span.value, span.high) for span in found.differences.values()} == {(0.0, 0.0, 0.0)}


def test_the_same_seed_gives_the_same_interval_and_unlabelled_models_have_no_agreement() -> None:
    rng = np.random.default_rng(5)
    real = rng.normal(size=(80, D))
    model = evidence(rng, real, 80)._replace(obeyed=np.zeros(0))
    first, second = (compare(real, model, None, resamples=100, confidence=0.95, seed=7) for _ in range(2))
    assert first == second
    assert set(first.candidate) == {"domain/frechet", "domain/recall"}
    assert first.differences == {}


def test_what_is_not_finite_has_no_interval() -> None:
    rng = np.random.default_rng(6)
    real = rng.normal(size=(80, D))
    good = evidence(rng, real, 80)
    broken = good._replace(features=np.full((80, D), np.nan))
    for pair in ((broken, good), (good, broken)):
        found = compare(real, *pair, resamples=100, confidence=0.95, seed=0)
        assert not found.differences["domain/frechet"].known
    assert not interval(math.nan, np.zeros(10), 0.95).known
    assert not interval(0.0, np.array([0.0, math.nan]), 0.95).known
    assert not Interval(value=0, low=-math.inf, high=1).known


def test_bootstrap_bias_is_taken_out() -> None:
    span = interval(1.0, np.random.default_rng(0).normal(3.0, 0.1, 1000), 0.95)
    assert span.low == pytest.approx(0.8, abs=0.03)
    assert span.high == pytest.approx(1.2, abs=0.03)
