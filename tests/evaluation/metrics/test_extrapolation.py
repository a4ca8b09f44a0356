"""FID at infinity is nearer to the truth than FID, and its error is the spread of the estimate."""

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.extrapolation import frechet_infinity
from faceforge.evaluation.metrics.frechet import frechet_distance, gaussian
from faceforge.evaluation.metrics.moments import Gaussian

SIZE = 32
REAL = Gaussian(np.zeros(SIZE), np.eye(SIZE), 0)  # exactly known
TRUTH = SIZE * (0.05**2 + 0.1**2)


def test_takes_the_bias_out() -> None:
    fake = np.random.default_rng(0).normal(0.05, 1.1, size=(4000, SIZE))
    plain = frechet_distance(REAL.mean, REAL.covariance, *gaussian(fake[:1500]))
    result = frechet_infinity(REAL, fake, smallest=500)
    assert abs(result.value - TRUTH) < 0.5 * abs(plain - TRUTH)
    assert 0 < result.error < 0.1
    assert result == frechet_infinity(REAL, fake, smallest=500)


def test_the_truth_lies_within_the_stated_error_as_often_as_it_should() -> None:
    rng = np.random.default_rng(1)
    results = [frechet_infinity(REAL, rng.normal(0.05, 1.1, size=(1000, SIZE)), smallest=500) for _ in range(100)]
    covered = np.mean([abs(result.value - TRUTH) < 1.96 * result.error for result in results])
    assert 0.88 <= covered <= 1
    spread = np.std([result.value for result in results])
    assert np.mean([result.error for result in results]) == pytest.approx(spread, rel=0.4)


def test_refuses_too_few_samples_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="at least 10,000"):
        frechet_infinity(REAL, np.zeros((9999, SIZE)))
