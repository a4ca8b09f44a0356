"""Layers for training on CPUs: they compute what the stock layers do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from faceforge.compute import backend
from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec

if keras.backend.backend() != "tensorflow":
    pytest.skip("layers for TensorFlow", allow_module_level=True)

import tensorflow as tf

from faceforge.compute.cpu_layers import UpsampledConv2D, _kernel_gradient, with_cpu_layers


@pytest.fixture(params=["dcgan", "style"])
def networks(request: pytest.FixtureRequest) -> tuple[keras.Model, keras.Model]:
    """A generator and a discriminator of 16 px."""
    spec = ModelSpec(family=request.param, image_size=16, channels=3, latent_size=5, width=4, max_width=8, classes=(3,))
    return build_networks(spec, seed=1)


def _features(network: keras.Model) -> list[Any]:
    rng = np.random.default_rng(0)
    first = tf.constant(rng.standard_normal((6, *network.inputs[0].shape[1:])), tf.float32)
    return [first, tf.constant(rng.integers(0, 3, (6, 1)), tf.int32)]


def _derivatives(network: keras.Model) -> list[Any]:
    """Outputs, new moments, gradients at weights; without moments also the gradients of the R1 penalty."""
    first, labels = _features(network)

    def call(weights: list[Any], first: Any) -> tuple[Any, list[Any]]:
        moments = network.non_trainable_variables
        return network.stateless_call(weights, [m.value for m in moments], [first, labels], training=True)

    def squared_length(weights: list[Any]) -> Any:
        _, pullback, _ = backend.vjp(lambda x: call(weights, x), first, has_aux=True)
        return tf.reduce_sum(tf.square(pullback(tf.ones((6, 1)))[0]))

    @tf.function(autograph=False)
    def everything(weights: list[Any]) -> Any:
        outputs, pullback, moments = backend.vjp(lambda w: call(w, first), weights, has_aux=True)
        first_order = outputs, moments, pullback(tf.cos(outputs))
        if moments:  # penalties need each logit to depend on its own image only
            return first_order
        _, second_order = backend.vjp(squared_length, weights)
        return first_order, second_order(tf.ones(()))

    return tf.nest.flatten(everything([tf.convert_to_tensor(w) for w in network.trainable_variables]))


def test_outputs_and_derivatives_are_those_of_the_stock_layers(networks: tuple[keras.Model, keras.Model]) -> None:
    for network in networks:
        for ours, stock in zip(_derivatives(with_cpu_layers(network)), _derivatives(network), strict=True):
            np.testing.assert_allclose(ours, stock, rtol=1e-3, atol=1e-4 * float(np.abs(stock).max()) + 1e-6)


def test_inference_gives_the_same_and_weights_keep_names_and_values(networks: tuple[keras.Model, keras.Model]) -> None:
    for network in networks:
        copy = with_cpu_layers(network)
        np.testing.assert_allclose(copy(_features(copy)), network(_features(network)), atol=1e-5)
        for ours, stock in zip(copy.variables, network.variables, strict=True):
            assert ours.path == stock.path
            np.testing.assert_array_equal(ours.value, stock.value)


def test_faster_layers_take_the_place_of_stock_ones(networks: tuple[keras.Model, keras.Model]) -> None:
    slow = {layers.UpSampling2D, layers.BatchNormalization, layers.Conv2DTranspose}
    copies = [with_cpu_layers(network) for network in networks]
    assert not slow & {type(layer) for copy in copies for layer in copy.layers if layer.name != "image"}


def test_matrix_products_give_the_gradient_at_the_kernel() -> None:
    rng = np.random.default_rng(0)
    images, features = rng.integers(-2, 3, (2, 8, 8, 3)), rng.integers(-2, 3, (2, 4, 4, 5))  # exact in bfloat16
    ours = _kernel_gradient(tf.constant(images, tf.bfloat16), tf.constant(features, tf.bfloat16))
    stock = _kernel_gradient(tf.constant(images, tf.float32), tf.constant(features, tf.float32))
    np.testing.assert_array_equal(tf.cast(ours, tf.float32), stock)


def test_doubling_is_left_alone_where_other_layers_see_the_doubled_pixels() -> None:
    images = keras.Input((4, 4, 2))
    doubled = layers.UpSampling2D()(images)
    convolved = layers.Conv2D(2, 3, padding="same")(doubled)
    network = keras.Model(images, layers.Add()([doubled, convolved]))
    copy = with_cpu_layers(network)
    assert not any(isinstance(layer, UpsampledConv2D) for layer in copy.layers)
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 2), np.float32)
    np.testing.assert_allclose(copy(x), network(x), atol=1e-6)
