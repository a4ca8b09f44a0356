from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec
from faceforge.training.per_example import PerExampleGradients

IMAGES = 6


def discriminator(classes: tuple[int, ...]) -> keras.Model:
    sizes: dict[str, Any] = {"image_size": 32, "channels": 1, "latent_size": 8, "width": 4, "max_width": 16}
    return build_networks(ModelSpec(family="compact", classes=classes, **sizes), 3)[1]


def inputs(classes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(IMAGES, 32, 32, 1)).astype("float32"))
    labels = tf.constant(rng.integers(0, 2, (IMAGES, len(classes))).astype("int32"))
    return [images, labels] if classes else [images]


def one_by_one(network: keras.Model, given: list[Any], slopes: Any) -> list[list[np.ndarray]]:
    """The gradients of each image's logit times its slope, from a pass of its own."""
    gradients = []
    for row in range(IMAGES):
        alone = [part[row : row + 1] for part in given]
        with tf.GradientTape() as tape:
            output = network(alone if len(alone) > 1 else alone[0]) * slopes[row]
        found = tape.gradient(output, network.trainable_variables)
        gradients.append([np.asarray(tf.convert_to_tensor(gradient)) for gradient in found])
    return gradients


def squared(gradients: list[np.ndarray]) -> float:
    return float(sum(np.sum(np.square(gradient)) for gradient in gradients))


@pytest.mark.parametrize("classes", [(), (3, 2)])
def test_norms_and_weighted_sum_are_those_of_a_loop_over_the_images(classes: tuple[int, ...]) -> None:
    network, given = discriminator(classes), inputs(classes)
    slopes = tf.constant(np.random.default_rng(1).normal(size=(IMAGES, 1)).astype("float32"))
    per_example = PerExampleGradients(network)
    weights = [tf.convert_to_tensor(variable.value) for variable in network.trainable_variables]
    logits, pullback = per_example.score(weights, given)
    np.testing.assert_allclose(logits, network(given if classes else given[0]), atol=1e-6)

    factors, at_images = pullback(slopes)
    expected = one_by_one(network, given, slopes)
    norms = sum(np.asarray(part.squared_norms()) for part in factors)
    np.testing.assert_allclose(norms, [squared(gradients) for gradients in expected], rtol=1e-4)
    pairs = sum(np.asarray(part.paired().squared_norms()) for part in factors)
    together = [
        [first + second for first, second in zip(expected[row], expected[row + IMAGES // 2], strict=True)]
        for row in range(IMAGES // 2)
    ]
    np.testing.assert_allclose(pairs, [squared(gradients) for gradients in together], rtol=1e-4)

    chosen = np.arange(IMAGES, dtype="float32")
    total = per_example.weighted_sum(factors, tf.constant(chosen))
    for place, found in enumerate(total):
        wanted = sum(weight * gradients[place] for weight, gradients in zip(chosen, expected, strict=True))
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert at_images.shape == given[0].shape


def test_a_layer_of_another_kind_is_refused() -> None:
    images = keras.Input((8, 8, 1))
    network = keras.Model(images, keras.layers.LayerNormalization()(images))
    per_example = PerExampleGradients(network)
    weights = [tf.convert_to_tensor(variable.value) for variable in network.trainable_variables]
    _, pullback = per_example.score(weights, [tf.zeros((2, 8, 8, 1))])
    with pytest.raises(TypeError, match="layer_normalization"):
        pullback(tf.ones((2, 8, 8, 1)))
