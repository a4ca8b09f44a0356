"""Metrics equal to scikit-learn's, and intervals that contain the truth as often as they say."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from faceforge.usefulness.ranking import FALSE_ALARMS, Ranking, bootstrap_weights, ranking_metrics


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_those_of_scikit_learn(ties: bool) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.2
    scores = rng.normal(size=300) + positive
    scores = scores.round(0 if ties else 8)
    weights = rng.integers(0, 4, (3, 300)).astype(float)
    for row, found in zip(weights, ranking_metrics(scores, positive, weights), strict=True):
        false, true, _ = roc_curve(positive, scores, sample_weight=row, drop_intermediate=False)
        expected = [
            roc_auc_score(positive, scores, sample_weight=row),
            average_precision_score(positive, scores, sample_weight=row),
            true[false <= FALSE_ALARMS + 1e-9].max(),
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_bootstrap_keeps_the_size_of_both_groups() -> None:
    positive = np.arange(50) < 8
    weights = bootstrap_weights(positive, 20, seed=1)
    np.testing.assert_array_equal(weights[:, positive].sum(axis=1), 8)
    np.testing.assert_array_equal(weights[:, ~positive].sum(axis=1), 42)
    np.testing.assert_array_equal(weights, bootstrap_weights(positive, 20, seed=1))


def test_intervals_of_differences_contain_the_truth_as_often_as_stated() -> None:
    """Two methods of equal quality whose trainings differ: the difference is 0 in 95 % of the intervals."""
    inside = []
    weights = bootstrap_weights(np.arange(200) < 40, 60, seed=0)
    for repeat in range(200):
        rng = np.random.default_rng([5, repeat])
        positive = np.arange(200) < 40
        image = rng.normal(size=200) + 1.5 * positive  # what all classifiers agree on

        def ranking(rng: np.random.Generator, image: np.ndarray, positive: np.ndarray) -> Ranking:
            scores = image + 0.5 * rng.normal(size=(3, 200)) + 0.4 * rng.normal(size=(3, 1)) * positive
            return Ranking.of(scores, positive, weights)

        first, second = (ranking(rng, image, positive) for _ in range(2))
        difference = first.minus(second).interval(0, 0.95, lowest=-1)
        inside.append(difference.low <= 0 <= difference.high)
    assert 0.92 <= np.mean(inside) <= 0.98


def test_the_interval_covers_images_and_seeds() -> None:
    values = np.array([[0.8], [0.9]])
    same_images = Ranking(values, np.repeat(values[:, None], 10, axis=1))
    only_seeds = Ranking(values / 10, same_images.resampled / 10).interval(0, 0.95)
    assert only_seeds.value == pytest.approx(0.085)
    assert only_seeds.high - only_seeds.value == pytest.approx(12.706 * 0.005, rel=1e-3)  # Student's t, 1 degree
    assert only_seeds.low == pytest.approx(0.085 - 12.706 * 0.005, abs=1e-3)
    assert same_images.interval(0, 0.95).high == 1.0
    of_images = np.random.default_rng(0).normal(0.85, 0.01, (1, 400, 1)).repeat(2, axis=0)
    wider = Ranking(np.full((2, 1), 0.85), of_images).interval(0, 0.95)
    assert wider.high - wider.value == pytest.approx(1.96 * 0.01, rel=0.1)
