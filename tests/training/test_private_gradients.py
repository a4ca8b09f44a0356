from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from faceforge.training.per_example import Factors, PerExampleGradients
from faceforge.training.private_gradients import Noise, private_gradients

SEED = tf.constant([5, 7], "int32")


def linear(inputs: int, outputs: int = 1) -> PerExampleGradients:
    """A layer w x, whose gradient at an image is the image."""
    images = keras.Input((inputs,))
    return PerExampleGradients(keras.Model(images, keras.layers.Dense(outputs, use_bias=False)(images)))


def factors(rows: Any, slope: float = 1.0) -> list[Factors]:
    images = tf.constant(np.asarray(rows, "float32"))[:, None, :]
    return [Factors(images, slope * tf.ones((len(images), 1, 1)), biased=False)]


def noise(multiplier: float, clip: float = 1.0, batch_size: int = 1, seed: Any = SEED) -> Noise:
    return Noise(clip, tf.constant(multiplier, "float32"), seed, batch_size)


def test_each_gradient_is_clipped_by_itself_and_the_sum_is_over_the_expected_batch_size() -> None:
    rows = [[3.0, 4.0], [0.3, 0.4], [-30.0, 40.0]]
    (found,) = private_gradients(linear(2), factors(rows), tf.ones(3), noise(0.0, clip=2.0, batch_size=10))
    # Norms 5, 0.5, 50: scaled to 2, left, scaled to 2.
    expected = np.array([1.2 + 0.3 - 1.2, 1.6 + 0.4 + 1.6]) / 10
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-5)


def test_one_image_more_changes_the_sum_by_at_most_the_clipping_norm() -> None:
    rows = np.random.default_rng(0).normal(size=(8, 5)) * 100
    without, together = (
        private_gradients(linear(5), factors(rows), tf.constant(present, "float32"), noise(0.0, clip=0.5))[0]
        for present in ([1, 1, 1, 1, 1, 1, 1, 0], [1] * 8)
    )
    assert np.linalg.norm(together - without) == pytest.approx(0.5, rel=1e-4)


def test_rows_that_are_absent_or_not_finite_add_nothing() -> None:
    rows = [[1.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 1.0]]
    (found,) = private_gradients(linear(2), factors(rows), tf.constant([1.0, 1.0, 1.0, 0.0]), noise(0.0))
    np.testing.assert_allclose(np.ravel(found), [1.0, 0.0], atol=1e-6)


def test_noise_has_the_stated_scale_and_depends_on_the_seed_alone() -> None:
    per_example, empty = linear(100, 100), [Factors(tf.zeros((1, 1, 100)), tf.zeros((1, 1, 100)), biased=False)]

    def drawn(seed: Any) -> np.ndarray:
        given = noise(multiplier=3.0, clip=0.5, batch_size=4, seed=seed)
        return np.asarray(private_gradients(per_example, empty, tf.ones(1), given)[0])

    first = drawn(SEED)
    assert first.std() == pytest.approx(3.0 * 0.5 / 4, rel=0.03)
    assert abs(first.mean()) < 0.02
    np.testing.assert_array_equal(first, drawn(SEED))
    assert abs(np.corrcoef(first.ravel(), drawn(tf.constant([5, 8], "int32")).ravel())[0, 1]) < 0.05


def test_variables_have_noise_of_their_own() -> None:
    images = keras.Input((10,))
    hidden = keras.layers.Dense(10, use_bias=False)(images)
    per_example = PerExampleGradients(keras.Model(images, keras.layers.Dense(10, use_bias=False)(hidden)))
    empty = [Factors(tf.zeros((1, 1, 10)), tf.zeros((1, 1, 10)), biased=False)] * 2
    first, second = private_gradients(per_example, empty, tf.ones(1), noise(1.0))
    assert abs(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]) < 0.5
