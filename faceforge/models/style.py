"""The family `style`: `compact`, with a generator whose stages are all controlled by one vector.

As in StyleGAN (Karras et al., 2019), a mapping network turns latents and labels into a style, and at every resolution
an affine map of the style scales and shifts the normalised channels. So a property of the whole image, such as the
background's colour, reaches all positions alike; `compact` decides it separately at each of the first 4 x 4 positions.
Unlike in StyleGAN, the latents also enter at 4 x 4 pixels, normalisation is over the batch, and there is no noise.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from faceforge.models import compact
from faceforge.models.compact import Modulate, init, relu
from faceforge.models.conditioning import Conditions
from faceforge.models.spec import ModelSpec

WIDTH, DEPTH = 128, 2  # of the mapping network
_GAIN = 0.1  # of the affine maps: the first scales are near 1, the first shifts near 0

discriminator = compact.discriminator


def generator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C), about [-1, 1]."""
    return compact.upsampling_generator(spec, conditions, dtype, _style)


def _style(codes: Any, dtype: Any) -> Modulate:
    """Scales and shifts of all channels, by a mapping network from latents and labels."""
    style = codes
    for number in range(1, DEPTH + 1):
        style = layers.Dense(WIDTH, kernel_initializer=init(2.0), dtype=dtype, name=f"map{number}")(style)
        style = relu(style, f"relu_map{number}", dtype)

    def modulate(x: Any, size: int) -> Any:
        width = x.shape[-1]
        for kind, bias, combine in (("scale", "ones", layers.Multiply), ("shift", "zeros", layers.Add)):
            name = f"{kind}{size}"
            change = layers.Dense(width, kernel_initializer=init(_GAIN), bias_initializer=bias, dtype=dtype, name=name)
            grid = layers.Reshape((1, 1, width), dtype=dtype, name=f"{name}_grid")(change(style))
            x = combine(dtype=dtype, name=f"{name}_all")([x, grid])
        return x

    return modulate
