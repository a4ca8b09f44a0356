from typing import Any

import numpy as np
import pytest
from keras import ops

from faceforge.compute import backend
from faceforge.training.spectral import initial_vectors, normalise

SHAPES = (
    (3, 3, 8, 16),
    (16,),
    (1, 1, 16, 4),
    (40, 1),
    (5, 12),
)  # a convolution, its bias, a dense kernel, an embedding


def random_weights(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [ops.array(rng.normal(size=shape).astype("float32")) for shape in SHAPES]


def sigma(kernel: Any) -> float:
    matrix = np.asarray(kernel).reshape(-1, kernel.shape[-1])
    return float(np.linalg.svd(matrix.astype("float64"), compute_uv=False)[0])


def settle(weights: list[Any], vectors: list[Any], iterations: int) -> tuple[list[Any], list[Any]]:
    step = backend.jit(normalise)
    normal = weights
    for _ in range(iterations):
        normal, vectors = step(weights, vectors)
    return normal, vectors


def test_kernels_get_a_largest_singular_value_of_one() -> None:
    weights = random_weights(0)
    normal, _ = settle(weights, initial_vectors(weights, 0), 200)
    for before, after in zip(weights, normal, strict=True):
        assert after.shape == before.shape
        if len(before.shape) > 1:
            assert sigma(after) == pytest.approx(1, abs=1e-4)
            np.testing.assert_allclose(after, np.asarray(before) / sigma(before), atol=1e-4)
        else:
            np.testing.assert_array_equal(after, before)


def test_the_first_call_is_already_accurate() -> None:
    weights = random_weights(1)
    normal, _ = normalise(weights, initial_vectors(weights, 0))
    assert all(1 - 1e-5 <= sigma(kernel) < 1.1 for kernel in normal if len(kernel.shape) > 1)


def test_one_iteration_per_step_follows_moving_weights() -> None:
    weights = random_weights(2)
    direction = random_weights(3)
    vectors = initial_vectors(weights, 0)
    step = backend.jit(normalise)
    for _ in range(100):
        weights = [w + 0.02 * d for w, d in zip(weights, direction, strict=True)]
        normal, vectors = step(weights, vectors)
    assert all(sigma(kernel) == pytest.approx(1, abs=0.03) for kernel in normal if len(kernel.shape) > 1)


def test_vectors_have_length_one_and_depend_on_the_seed() -> None:
    weights = random_weights(0)
    first, again, other = (initial_vectors(weights, seed) for seed in (7, 7, 8))
    assert [tuple(v.shape) for v in first] == [(16,), (4,), (1,), (12,)]
    for vector in first + normalise(weights, first)[1]:
        assert float(ops.norm(vector)) == pytest.approx(1, abs=1e-5)
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(not np.array_equal(left, right) for left, right in zip(first, other, strict=True))


def test_a_zero_kernel_is_unchanged_and_recovers() -> None:
    """It has no direction to normalise."""
    zeros = [ops.zeros((3, 3, 2, 4))]
    vectors = initial_vectors(zeros, 0)
    normal, vectors = settle(zeros, vectors, 3)
    np.testing.assert_array_equal(normal[0], zeros[0])
    assert float(ops.norm(vectors[0])) == pytest.approx(1, abs=1e-5)
    _, pull = backend.vjp(lambda w: ops.sum(normalise([w], vectors)[0][0]), zeros[0])
    (gradients,) = pull(ops.ones(()))
    np.testing.assert_allclose(gradients, np.ones((3, 3, 2, 4)))  # as if it were not normalised
    moved = [ops.array(np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype("float32"))]
    assert sigma(settle(moved, vectors, 100)[0][0]) == pytest.approx(1, abs=1e-4)


def test_gradients_go_through_sigma() -> None:
    """Against finite differences of W / sigma(W) by singular values: eq. 10 of the paper."""
    rng = np.random.default_rng(4)
    kernel, direction, target = (rng.normal(size=(2, 2, 3, 5)) for _ in range(3))
    weights = [ops.array(kernel.astype("float32"))]
    _, vectors = settle(weights, initial_vectors(weights, 0), 300)

    def value(w: Any) -> Any:
        return ops.sum(normalise([w], vectors)[0][0] * ops.array(target.astype("float32")))

    def exact(w: np.ndarray) -> float:
        return float(np.sum(w / sigma(w) * target))

    _, pull = backend.vjp(value, weights[0])
    (gradient,) = pull(ops.ones(()))
    step = 1e-5
    slope = (exact(kernel + step * direction) - exact(kernel - step * direction)) / (2 * step)
    assert float(np.sum(np.asarray(gradient) * direction)) == pytest.approx(slope, rel=1e-3)


def test_vectors_are_treated_as_constants() -> None:
    """Far from convergence too: (T - <T, W / sigma> v u'^T) / sigma for the loss <T, W / sigma>."""
    rng = np.random.default_rng(5)
    kernel, target = (rng.normal(size=(6, 4)).astype("float32") for _ in range(2))
    start = np.array([1, 0, 0, 0], "float32")

    def value(w: Any) -> Any:
        return ops.sum(normalise([w], [ops.array(start)])[0][0] * target)

    _, pull = backend.vjp(value, ops.array(kernel))
    (gradient,) = pull(ops.ones(()))
    v = kernel @ start / np.linalg.norm(kernel @ start)
    u = v @ kernel / np.linalg.norm(v @ kernel)
    length = v @ kernel @ u
    expected = (target - np.sum(target * kernel) / length * np.outer(v, u)) / length
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
