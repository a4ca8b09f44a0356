"""The Inception score in its known cases."""

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.inception_score import inception_score


def test_is_one_when_all_images_look_the_same() -> None:
    logits = np.tile(np.random.default_rng(0).normal(size=7), (100, 1))
    assert inception_score(logits) == pytest.approx((1, 0))


def test_is_the_number_of_classes_when_each_is_certain_and_equally_frequent() -> None:
    assert inception_score(np.eye(8)[np.arange(800) % 8] * 1e4, splits=1).mean == pytest.approx(8)


def test_equals_the_formula_and_repeats() -> None:
    logits = np.random.default_rng(1).normal(size=(50, 5)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean())
    assert inception_score(logits, splits=1).mean == pytest.approx(expected)
    assert inception_score(logits, seed=3) == inception_score(logits, seed=3)
    with pytest.raises(FaceForgeError, match="at least 10"):
        inception_score(logits[:9])
