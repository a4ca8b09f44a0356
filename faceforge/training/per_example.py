"""Gradients of each image by itself, as their norms and as a weighted sum, from one pass through a network.

The gradient of an image at the kernel of a layer is P^T D, where P are the inputs that the kernel is applied to (one
row for each position) and D the gradients at the outputs. Norms therefore need no gradient for each image:

    |P^T D|^2 = sum((P P^T) * (D D^T))      (Goodfellow 2015; "ghost norm", Li et al. 2022)

That is used where there are few positions; elsewhere P^T D is smaller, and is computed (Bu et al. 2022). The sum over
images, each times its weight, costs as much as an ordinary gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from faceforge.compute import backend

Tensors = list[Any]


class Factors(NamedTuple):
    """The gradients of B images at a layer, P^T D each, in factors.

    Attributes:
        inputs: P, float32 (B, positions, in).
        slopes: D, float32 (B, positions, out).
        biased: whether the layer has a bias, whose gradient is the sum of D over positions.
    """

    inputs: Any
    slopes: Any
    biased: bool

    def squared_norms(self) -> Any:
        """Squared norms (B,) of the gradients at kernel and bias together."""
        positions, incoming, outgoing = (int(size) for size in (*self.inputs.shape[1:], self.slopes.shape[-1]))
        if 2 * positions**2 < incoming * outgoing:
            products = (ops.matmul(part, ops.transpose(part, (0, 2, 1))) for part in (self.inputs, self.slopes))
            squares = ops.sum(next(products) * next(products), axis=(1, 2))
        else:
            gradients = ops.matmul(ops.transpose(self.inputs, (0, 2, 1)), self.slopes)
            squares = ops.sum(ops.square(gradients), axis=(1, 2))
        return squares + ops.sum(ops.square(ops.sum(self.slopes, axis=1)), axis=1) if self.biased else squares

    def paired(self) -> Factors:
        """Gradients of pairs, each the sum of those of an image in the first half and its partner in the second."""
        halves = (ops.concatenate(ops.split(part, 2), axis=1) for part in (self.inputs, self.slopes))
        return Factors(next(halves), next(halves), self.biased)


class PerExampleGradients:
    """A network that records what the gradients of each image are made of.

    Args:
        network: functional and without non-trainable variables; its layers with weights are convolutions, dense layers
            and embeddings, without activation.
    """

    def __init__(self, network: keras.Model) -> None:
        self._recorded: list[_Recorded] = []

        def record(layer: layers.Layer) -> layers.Layer:
            if not getattr(layer, "weights", None):
                return layer
            self._recorded.append(_Recorded(layer))
            return self._recorded[-1]

        self._network = keras.models.clone_model(network, clone_function=record)
        places = {id(variable): place for place, variable in enumerate(network.trainable_variables)}
        # Callers pass weights in the order of the original network.
        self._order = [places[id(variable)] for variable in self._network.trainable_variables]
        self._places = [[places[id(variable)] for variable in layer.trainable_variables] for layer in self._recorded]

    def score(self, weights: Tensors, inputs: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[list[Factors], Any]]]:
        """Logits, and the function from gradients at the logits to those at weights and images.

        Args:
            weights: of the original network, in the order of its trainable variables.
            inputs: of the original network: images float32 (B, H, W, C), and whatever else it takes.

        Returns:
            logits: (B, 1).
            pullback: gradients at the logits (B, 1) -> gradients at each layer's weights, in factors, and at the
                images, float32 (B, H, W, C).
        """
        images, *others = inputs
        probes = [
            ops.zeros((images.shape[0], *layer.output.shape[1:]), layer.compute_dtype) for layer in self._recorded
        ]
        ordered = [weights[place] for place in self._order]

        def score(probes: Tensors, images: Any) -> tuple[Any, Tensors]:
            for layer, probe in zip(self._recorded, probes, strict=True):
                layer.probe = probe
            logits, _ = self._network.stateless_call(ordered, [], [images, *others] if others else images)
            return logits, [layer.seen for layer in self._recorded]

        logits, pullback, seen = backend.vjp(score, probes, images, has_aux=True)

        def gradients(at_logits: Any) -> tuple[list[Factors], Any]:
            at_outputs, at_images = pullback(at_logits)
            rows = zip(self._recorded, seen, at_outputs, strict=True)
            return [_factors(layer.layer, x, slopes) for layer, x, slopes in rows], at_images

        return logits, gradients

    def weighted_sum(self, factors: list[Factors], weights: Any) -> Tensors:
        """Sum over images of weight times gradient, for each trainable variable of the original network.

        Args:
            factors: of each layer.
            weights: of the images, float32 (B,).
        """
        sums: list[Any] = [None] * len(self._order)
        for layer, places, part in zip(self._recorded, self._places, factors, strict=True):
            slopes = part.slopes * weights[:, None, None]
            flat = [ops.reshape(factor, (-1, factor.shape[-1])) for factor in (part.inputs, slopes)]
            kernel = ops.matmul(ops.transpose(flat[0]), flat[1])
            sums[places[0]] = ops.reshape(kernel, layer.trainable_variables[0].shape)
            if part.biased:
                sums[places[1]] = ops.sum(flat[1], axis=0)
        return sums


class _Recorded(layers.Layer):
    """A layer that keeps its input, and adds a probe (zeros) to its output, at which one can differentiate."""

    def __init__(self, layer: layers.Layer) -> None:
        super().__init__(name=f"recorded_{layer.name}", dtype=layer.dtype_policy)
        self.layer = layer
        self.probe: Any = None
        self.seen: Any = None

    def call(self, x: Any) -> Any:
        """The layer's output."""
        output = self.layer(x)
        self.seen = x
        return output if self.probe is None else output + self.probe


def _factors(layer: layers.Layer, x: Any, slopes: Any) -> Factors:
    """The gradients at a layer's weights from its input and the gradients at its output."""
    if isinstance(layer, layers.Conv2D):
        x = _patches(ops.cast(x, "float32"), layer.kernel_size, layer.strides, layer.padding == "same")
    elif isinstance(layer, layers.Embedding):
        x = ops.one_hot(x, layer.input_dim)
    elif not isinstance(layer, layers.Dense):
        raise TypeError(f"gradients of each image are not implemented for the layer {layer.name}")

    def flat(values: Any) -> Any:
        values = ops.cast(values, "float32")
        return ops.reshape(values, (values.shape[0], -1, values.shape[-1]))

    return Factors(flat(x), flat(slopes), bool(getattr(layer, "use_bias", False)))


def _patches(images: Any, size: tuple[int, int], strides: tuple[int, int], same: bool) -> Any:
    """The inputs of every application of a kernel, (B, rows, columns, height x width x channels).

    By slices: `ops.image.extract_patches` convolves with an identity kernel, which takes longer than the layer itself.
    """
    height, width = images.shape[1:3]
    counts, padding = [], []
    for edge, kernel, stride in zip((height, width), size, strides, strict=True):
        count = -(-edge // stride) if same else (edge - kernel) // stride + 1
        missing = max((count - 1) * stride + kernel - edge, 0)
        counts.append(count)
        padding.append((missing // 2, missing - missing // 2))
    images = ops.pad(images, [(0, 0), *padding, (0, 0)])
    reach = [(count - 1) * stride + 1 for count, stride in zip(counts, strides, strict=True)]
    parts = [
        images[:, row : row + reach[0] : strides[0], column : column + reach[1] : strides[1]]
        for row in range(size[0])
        for column in range(size[1])
    ]
    return ops.concatenate(parts, axis=-1)
