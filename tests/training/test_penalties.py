from typing import Any

import numpy as np
import pytest
from keras import ops

from faceforge.compute import backend
from faceforge.training.penalties import gradient_norm_gap, squared_gradient_norm


def linear(weights: np.ndarray) -> Any:
    return lambda x: ops.sum(x * weights, axis=(1, 2, 3))[:, None]


def quadratic(x: Any) -> Any:
    return ops.sum(ops.square(x), axis=(1, 2, 3))[:, None]


def images(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_a_linear_score_has_the_norm_of_its_weights() -> None:
    weights = images(0, 1, 4, 4, 3)
    norm = squared_gradient_norm(linear(weights), ops.array(images(1, 5, 4, 4, 3)))
    assert float(norm) == pytest.approx(float(np.sum(weights**2)), rel=1e-5)


def test_a_quadratic_score_is_averaged_over_the_batch() -> None:
    batch = images(1, 6, 2, 2, 1)
    expected = np.mean(np.sum((2 * batch) ** 2, axis=(1, 2, 3)))
    assert float(squared_gradient_norm(quadratic, ops.array(batch))) == pytest.approx(float(expected), rel=1e-5)


def test_the_gap_of_a_linear_score_is_its_norms_distance_from_one() -> None:
    weights = images(0, 1, 4, 4, 3)
    batch = ops.array(images(1, 5, 4, 4, 3))
    gap = gradient_norm_gap(linear(weights), batch, batch, ops.zeros((5, 1)))
    assert float(gap) == pytest.approx((np.linalg.norm(weights) - 1) ** 2, rel=1e-5)
    slope_one = linear(weights / np.linalg.norm(weights))
    assert float(gradient_norm_gap(slope_one, batch, batch, ops.zeros((5, 1)))) == pytest.approx(0, abs=1e-10)


def test_the_gap_is_measured_between_real_and_fake() -> None:
    real, fake = images(1, 3, 2, 2, 1), images(2, 3, 2, 2, 1)
    shares = np.array([[0.0], [1.0], [0.25]], "float32")
    between = np.stack([fake[0], real[1], 0.25 * real[2] + 0.75 * fake[2]])
    expected = np.mean((np.sqrt(np.sum((2 * between) ** 2, axis=(1, 2, 3))) - 1) ** 2)
    gap = gradient_norm_gap(quadratic, ops.array(real), ops.array(fake), ops.array(shares))
    assert float(gap) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("kind", ["squared", "gap"])
def test_gradients_with_respect_to_weights_equal_finite_differences(kind: str) -> None:
    real, fake, shares = images(1, 4, 2, 2, 3), images(2, 4, 2, 2, 3), np.full((4, 1), 0.3, "float32")
    weights, direction = images(3, 12, 5) * 0.3, images(4, 12, 5)

    def penalty(w: Any) -> Any:
        def score(x: Any) -> Any:
            return ops.sum(ops.tanh(ops.matmul(ops.reshape(x, (-1, 12)), w)), axis=1, keepdims=True)

        if kind == "squared":
            return squared_gradient_norm(score, ops.array(real))
        return gradient_norm_gap(score, ops.array(real), ops.array(fake), ops.array(shares))

    _, pull = backend.vjp(penalty, ops.array(weights))
    (gradient,) = pull(ops.ones(()))
    step = 1e-2
    forward, back = (float(penalty(ops.array(weights + sign * step * direction))) for sign in (1, -1))
    assert float(np.sum(np.asarray(gradient) * direction)) == pytest.approx((forward - back) / (2 * step), rel=1e-2)


def test_a_flat_score_has_finite_gradients() -> None:
    """Residual discriminators start flat, where the norm itself has no slope."""
    batch = ops.array(images(1, 3, 2, 2, 1))

    def penalty(weights: Any) -> Any:
        return gradient_norm_gap(lambda x: quadratic(x) * weights, batch, batch, ops.zeros((3, 1)))

    value, pull = backend.vjp(penalty, ops.zeros(()))
    (gradient,) = pull(ops.ones(()))
    assert float(value) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(float(gradient))
