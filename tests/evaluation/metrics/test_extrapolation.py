"""FID at infinity is nearer to the truth than FID, and says how sure it is."""

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
    found = frechet_infinity(REAL, fake, smallest=500)
    assert abs(found.value - TRUTH) < 0.5 * abs(plain - TRUTH)
    assert 0 < found.error < 0.1
    assert found == frechet_infinity(REAL, fake, smallest=500)


def test_refuses_too_few_samples_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="more than 5,000"):
        frechet_infinity(REAL, np.zeros((5000, SIZE)))
