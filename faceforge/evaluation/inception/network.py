"""The Inception network of FID as a Keras model.

Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", as frozen in TensorFlow's graph of
2015-12-05 and ported, weights and all, by pytorch-fid. It differs from the Inception v3 of Keras and torchvision: other
weights, 1,008 outputs, averages that leave out the padding, and a maximum in the last block's pool branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

SIZE = 299  # edge of the input
FEATURES = 2048
CLASSES = 1008
_EPSILON = 1e-3  # of every batch norm


def inception_network(weights: Mapping[str, NDArray[Any]], precision: str) -> keras.Model:
    """The network from scaled pixels to pooled features.

    Args:
        weights: as the published checkpoint names them; batch norm is folded into the convolutions here.
        precision: what convolutions behind the first five compute in, `float32` or `bfloat16` (sums stay float32).

    Returns:
        A model from float32 (N, 299, 299, 3), (pixel - 128) / 128, to float32 (N, 2048), all >= 0.
    """
    # The first layers always compute in float32: their rounding changes FID most and they are a quarter of the work.
    stem, net = _Blocks(weights, "float32"), _Blocks(weights, precision)
    inputs = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = stem.conv(inputs, "Conv2d_1a_3x3", strides=2)
    x = stem.conv(x, "Conv2d_2a_3x3")
    x = stem.conv(x, "Conv2d_2b_3x3", padding="same")
    x = stem.shrink(x)
    x = stem.conv(x, "Conv2d_3b_1x1")
    x = stem.conv(x, "Conv2d_4a_3x3")
    x = stem.shrink(x, name="pool2")  # (35, 35, 192)
    for letter in "bcd":
        x = net.block_a(x, f"Mixed_5{letter}")  # (35, 35, 256), then 288 twice
    x = net.block_b(x, "Mixed_6a")  # (17, 17, 768)
    for letter in "bcde":
        x = net.block_c(x, f"Mixed_6{letter}")  # (17, 17, 768)
    x = net.block_d(x, "Mixed_7a")  # (8, 8, 1280)
    x = net.block_e(x, "Mixed_7b", net.average)  # (8, 8, 2048)
    x = net.block_e(x, "Mixed_7c", net.maximum)
    pooled = layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model(inputs, pooled, name="inception_2015")


def output_matrix(weights: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Matrix (2048, 1008) from features to the logits (without bias) that the Inception score uses."""
    return np.asarray(weights["fc.weight"], np.float32).T


class _Blocks:
    """The blocks, named by the letters of the original code; branches are concatenated in its order."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], precision: str) -> None:
        self._weights, self._precision = weights, precision

    def conv(self, x: Any, name: str, strides: int = 1, padding: str = "valid") -> Any:
        kernel, bias = self._folded(name)
        layer = layers.Conv2D(
            kernel.shape[-1],
            kernel.shape[:2],
            strides=strides,
            padding=padding,
            activation="relu",
            dtype=self._precision,
            name=name.replace(".", "_"),
        )
        y = layer(x)
        layer.set_weights([kernel, bias])
        return y

    def _folded(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel (h, w, in, out) and bias of a convolution followed by batch norm."""
        gain, shift, mean, variance = (
            np.asarray(self._weights[f"{name}.bn.{part}"], np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + _EPSILON)
        kernel = self._weights[f"{name}.conv.weight"] * scale[:, None, None, None]
        return kernel.transpose(2, 3, 1, 0).astype(np.float32), (shift - mean * scale).astype(np.float32)

    def chain(self, x: Any, *names: str) -> Any:
        """A sequence of convolutions that keep the image size."""
        for name in names:
            x = self.conv(x, name, padding="same")
        return x

    def average(self, x: Any) -> Any:
        return layers.AveragePooling2D(3, strides=1, padding="same", dtype=self._precision)(x)

    def maximum(self, x: Any) -> Any:
        return layers.MaxPooling2D(3, strides=1, padding="same", dtype=self._precision)(x)

    def shrink(self, x: Any, name: str | None = None) -> Any:
        return layers.MaxPooling2D(3, strides=2, dtype=self._precision, name=name)(x)

    def join(self, *branches: Any) -> Any:
        return layers.Concatenate(dtype=self._precision)(list(branches))

    def block_a(self, x: Any, name: str) -> Any:
        b = f"{name}.branch"
        return self.join(
            self.chain(x, f"{b}1x1"),
            self.chain(x, f"{b}5x5_1", f"{b}5x5_2"),
            self.chain(x, f"{b}3x3dbl_1", f"{b}3x3dbl_2", f"{b}3x3dbl_3"),
            self.chain(self.average(x), f"{b}_pool"),
        )

    def block_b(self, x: Any, name: str) -> Any:
        b = f"{name}.branch"
        deep = self.chain(x, f"{b}3x3dbl_1", f"{b}3x3dbl_2")
        return self.join(self.conv(x, f"{b}3x3", strides=2), self.conv(deep, f"{b}3x3dbl_3", strides=2), self.shrink(x))

    def block_c(self, x: Any, name: str) -> Any:
        b = f"{name}.branch"
        return self.join(
            self.chain(x, f"{b}1x1"),
            self.chain(x, *(f"{b}7x7_{i}" for i in range(1, 4))),
            self.chain(x, *(f"{b}7x7dbl_{i}" for i in range(1, 6))),
            self.chain(self.average(x), f"{b}_pool"),
        )

    def block_d(self, x: Any, name: str) -> Any:
        b = f"{name}.branch"
        short = self.chain(x, f"{b}3x3_1")
        long = self.chain(x, *(f"{b}7x7x3_{i}" for i in range(1, 4)))
        return self.join(
            self.conv(short, f"{b}3x3_2", strides=2), self.conv(long, f"{b}7x7x3_4", strides=2), self.shrink(x)
        )

    def block_e(self, x: Any, name: str, pool: Any) -> Any:
        b = f"{name}.branch"
        short = self.chain(x, f"{b}3x3_1")
        long = self.chain(x, f"{b}3x3dbl_1", f"{b}3x3dbl_2")
        return self.join(
            self.chain(x, f"{b}1x1"),
            self.chain(short, f"{b}3x3_2a"),
            self.chain(short, f"{b}3x3_2b"),
            self.chain(long, f"{b}3x3dbl_3a"),
            self.chain(long, f"{b}3x3dbl_3b"),
            self.chain(pool(x), f"{b}_pool"),
        )
