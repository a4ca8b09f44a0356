"""Keras layers that compute what stock layers do, on CPUs with TensorFlow in less time; for training only.

- Batch normalisation is one kernel of oneDNN, where Keras composes it of a dozen operations on float32 arrays.
- The gradient at the weights of a 4 x 4 convolution with stride 2 is four matrix products in bfloat16. oneDNN's own
  kernel takes up to four times as long where few positions are left (8 x 8 and below).
- A 3 x 3 convolution of doubled pixels is one transposed convolution with a 4 x 4 kernel: 4 products for each output in
  place of 9, and no doubled array (Karras et al., 2018, "Progressive growing of GANs", use the same form).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

_POSITIONS = 64  # up to as many output positions matrix products are faster than oneDNN's gradient at the weights

# A doubled pixel that three taps see along an axis reaches 4 outputs, with the weights k2, k1 + k2, k0 + k1, k0.
_ALONG_AN_AXIS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
_DOUBLING = np.kron(_ALONG_AN_AXIS, _ALONG_AN_AXIS)  # 3 x 3 taps -> 4 x 4


def with_cpu_layers(network: keras.Model) -> keras.Model:
    """The same network of faster layers: the values and names of its weights are those of `network`.

    Args:
        network: functional, of 4-dimensional NHWC features.
    """
    doubled = _doubled_convolutions(network)

    def faster(layer: layers.Layer) -> layers.Layer:
        if layer.name in doubled.values():
            return UpsampledConv2D.from_config(layer.get_config())
        if layer.name in doubled:
            return layers.Identity(name=layer.name, dtype=layer.dtype_policy)
        replacement = next((fast for kind, fast in _FASTER.items() if type(layer) is kind and fast.suits(layer)), None)
        return replacement.from_config(layer.get_config()) if replacement else layer

    copy = keras.models.clone_model(network, clone_function=faster)
    values = {variable.path: variable for variable in network.variables}
    for variable in copy.variables:
        variable.assign(values[variable.path])
    return copy


class StridedConv2D(layers.Conv2D):
    """`Conv2D` of a 4 x 4 kernel with stride 2."""

    @staticmethod
    def suits(layer: layers.Conv2D | layers.Conv2DTranspose) -> bool:
        """Whether a layer is a 4 x 4 convolution with stride 2 of an even number of pixels."""
        shape = (layer.kernel_size, layer.strides, layer.padding)
        return shape == ((4, 4), (2, 2), "same") and not any(size % 2 for size in layer.input.shape[1:3])

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """See `keras.layers.Conv2D`."""
        return _convolve(inputs, tf.convert_to_tensor(kernel))


class StridedConv2DTranspose(layers.Conv2DTranspose):
    """`Conv2DTranspose` of a 4 x 4 kernel with stride 2."""

    suits = StridedConv2D.suits

    def call(self, inputs: Any) -> Any:
        """See `keras.layers.Conv2DTranspose`."""
        outputs = _convolve_transposed(inputs, tf.convert_to_tensor(self.kernel))
        outputs = tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs
        return self.activation(outputs)


class UpsampledConv2D(layers.Conv2D):
    """`UpSampling2D` followed by a `Conv2D` of a 3 x 3 kernel."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """(B, H, W, C) -> (B, 2H, 2W, filters)."""
        kernel = tf.convert_to_tensor(kernel)
        _, _, incoming, outgoing = kernel.shape
        taps = tf.matmul(tf.constant(_DOUBLING, kernel.dtype), tf.reshape(kernel, (9, -1)))
        taps = tf.transpose(tf.reshape(taps, (4, 4, incoming, outgoing)), (0, 1, 3, 2))
        return _convolve_transposed(inputs, taps)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `keras.layers.Layer`."""
        batch, height, width, _ = input_shape
        return batch, 2 * height, 2 * width, self.filters


class FusedBatchNormalization(layers.BatchNormalization):
    """`BatchNormalization` of the last of four axes; first derivatives only.

    Second derivatives of TensorFlow's kernel are off by about a percent. Training has none through batch normalisation:
    gradient penalties are refused for networks that have it.
    """

    @staticmethod
    def suits(layer: layers.BatchNormalization) -> bool:
        """Whether a layer normalises the channels of feature maps, with scale and offset."""
        return len(layer.input.shape) == 4 and layer.axis in (-1, 3) and layer.center and layer.scale

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """See `keras.layers.BatchNormalization`."""
        if not training:
            return super().call(inputs, training=training, mask=mask)
        gamma, beta = (tf.cast(tf.convert_to_tensor(weight), tf.float32) for weight in (self.gamma, self.beta))
        outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=tf.zeros_like(gamma),
            variance=tf.zeros_like(gamma),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.size(inputs, tf.int64) // inputs.shape[-1]
        biased = unbiased * tf.cast((count - 1) / count, tf.float32)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs


_FASTER: dict[type[layers.Layer], Any] = {
    layers.Conv2D: StridedConv2D,
    layers.Conv2DTranspose: StridedConv2DTranspose,
    layers.BatchNormalization: FusedBatchNormalization,
}


def _doubled_convolutions(network: keras.Model) -> dict[str, str]:
    """Names of the layers that double pixels, and of the 3 x 3 convolutions that follow them."""
    found = {}
    for layer in network.layers:
        if type(layer) is not layers.UpSampling2D or (layer.size, layer.interpolation) != ((2, 2), "nearest"):
            continue
        followers = [node.operation for node in layer._outbound_nodes]
        (follower, *others) = followers
        plain = type(follower) is layers.Conv2D and (follower.kernel_size, follower.strides) == ((3, 3), (1, 1))
        if plain and not others and follower.padding == "same":
            found[layer.name] = follower.name
    return found


# The three products of images (B, 2H, 2W, I), features (B, H, W, O) and kernels (4, 4, I, O). Each is linear in both of
# its arguments, and its gradients are the two others, as often as one differentiates.


@tf.custom_gradient
def _convolve(images: Any, kernel: Any) -> Any:
    """Features."""

    def gradient(slopes: Any) -> tuple[Any, Any]:
        return _convolve_transposed(slopes, kernel), _kernel_product(images, slopes)

    return tf.nn.conv2d(images, kernel, 2, "SAME"), gradient


@tf.custom_gradient
def _convolve_transposed(features: Any, kernel: Any) -> Any:
    """Images."""

    def gradient(slopes: Any) -> tuple[Any, Any]:
        return _convolve(slopes, kernel), _kernel_product(slopes, features)

    batch, height, width, _ = (size if size is not None else tf.shape(features)[0] for size in features.shape)
    shape = (batch, 2 * height, 2 * width, kernel.shape[2])
    return tf.nn.conv2d_transpose(features, kernel, shape, 2, "SAME"), gradient


@tf.custom_gradient
def _kernel_product(images: Any, features: Any) -> Any:
    """Kernels."""

    def gradient(slopes: Any) -> tuple[Any, Any]:
        return _convolve_transposed(features, slopes), _convolve(images, slopes)

    return _kernel_gradient(images, features), gradient


def _kernel_gradient(images: Any, features: Any) -> Any:
    height, width, outputs = features.shape[1:]
    inputs = images.shape[-1]
    if features.dtype != tf.bfloat16 or height * width > _POSITIONS:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=images,
            filter_sizes=(4, 4, inputs, outputs),
            out_backprop=features,
            strides=(1, 2, 2, 1),
            padding="SAME",
        )
    # 2 x 2 pixels as channels: the kernel is then 2 x 2 positions, each the product of shifted images and features.
    blocks = tf.nn.space_to_depth(tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))), 2)
    flat = tf.reshape(features, (-1, outputs))
    products = [
        tf.matmul(tf.reshape(blocks[:, row : row + height, column : column + width], (-1, 4 * inputs)), flat, True)
        for row in (0, 1)
        for column in (0, 1)
    ]
    kernel = tf.reshape(tf.stack(products), (2, 2, 2, 2, inputs, outputs))
    return tf.reshape(tf.transpose(kernel, (0, 2, 1, 3, 4, 5)), (4, 4, inputs, outputs))
