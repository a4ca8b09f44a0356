import numpy as np
import pytest
from keras import ops

from faceforge.training.penalties import squared_gradient_norm


def test_a_linear_score_has_the_norm_of_its_weights() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(1, 4, 4, 3)).astype("float32")
    images = rng.normal(size=(5, 4, 4, 3)).astype("float32")
    norm = squared_gradient_norm(lambda x: ops.sum(x * weights, axis=(1, 2, 3))[:, None], ops.array(images))
    assert float(norm) == pytest.approx(float(np.sum(weights**2)), rel=1e-5)


def test_a_quadratic_score_is_averaged_over_the_batch() -> None:
    images = np.random.default_rng(1).normal(size=(6, 2, 2, 1)).astype("float32")
    norm = squared_gradient_norm(lambda x: ops.sum(ops.square(x), axis=(1, 2, 3))[:, None], ops.array(images))
    expected = np.mean(np.sum((2 * images) ** 2, axis=(1, 2, 3)))
    assert float(norm) == pytest.approx(float(expected), rel=1e-5)
