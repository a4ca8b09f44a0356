"""Counts the arithmetic of the networks and of a training step, for TFLOP/s and MFU."""

from __future__ import annotations

import math

import keras
from keras import layers


def macs(network: keras.Model) -> int:
    """Multiply-accumulates per image of a forward pass: convolutions and dense layers; all else is negligible."""
    return sum(_layer_macs(layer) for layer in network.layers)


def step_flops(
    generator_macs: int, discriminator_macs: int, penalised: int, interval: int, shared: bool = False
) -> float:
    """Floating-point operations per real image of one training step (`faceforge.training.step`), on average.

    A backward pass to a layer's inputs costs as much as the forward pass; one to its weights costs the same again.

    - Generator: forward, backward to inputs and to weights: 3 passes.
    - Discriminator: forward on real and fake images (2); backward to inputs and weights on both (4); and, for the
      generator, backward from the logits of the fakes to their pixels (1): 7 passes.
    - Penalties, every `interval` steps: forward (1); backward to the pixels (1); backward through that pass, to its
      inputs and weights (2): 4 passes. The forward pass gets no gradient, because (leaky) ReLUs have no curvature.
    - If penalties share the discriminator's pass: forward on real and fake images (2); backward to the pixels, which
      also serves the generator (2); backward to inputs and weights (4): 8 passes; and 2 more for each penalised set,
      backward through the gradient at its pixels.

    Only operations that the mathematics needs are counted: no recomputation to save memory, no optimizer.

    Args:
        generator_macs: `macs` of the generator.
        discriminator_macs: `macs` of the discriminator.
        penalised: image sets under a penalty: 0 none, 1 R1 or interpolates, 2 R1 and R2.
        interval: steps between penalties.
        shared: whether penalties share the discriminator's pass (`faceforge.training.gradients.shares_pass`).

    Returns:
        FLOPs per image; a multiply-accumulate counts as two.
    """
    passes = 8 + 2 * penalised if shared else 7 + 4 * penalised / interval
    return 2.0 * (3 * generator_macs + passes * discriminator_macs)


def _layer_macs(layer: keras.Layer) -> int:
    if isinstance(layer, layers.Conv2DTranspose):  # one product with the whole kernel per input pixel
        return math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
    if isinstance(layer, layers.Conv2D):  # one per output pixel
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0
