"""The classical family `dcgan`: DCGAN as in Radford et al. (2016), conditional by embedding and projection.

4 x 4 kernels with stride 2, batch normalisation except at the generator's output and the discriminator's input, ReLU in
the generator, LeakyReLU 0.2 in the discriminator, tanh output, weights from N(0, 0.02).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from faceforge.models.conditioning import Conditions, conditioned_latents, projected_logits
from faceforge.models.spec import BATCH_NORM_MOMENTUM, ModelSpec


def generator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C) in [-1, 1]."""
    latents = keras.Input((spec.latent_size,), name="latents")
    first, *sizes, _ = spec.stages()
    # Each stage is as wide as `spec` makes the next resolution: 512-256-128-64 at 64 px.
    width = spec.width_at(2 * first)
    x = conditioned_latents(spec, latents, conditions, dtype)
    x = layers.Dense(first**2 * width, use_bias=False, kernel_initializer=_init(), dtype=dtype, name="first")(x)
    x = layers.Reshape((first, first, width), dtype=dtype, name="grid")(x)
    x = layers.ReLU(dtype=dtype, name=f"relu{first}")(_normalise(x, first, dtype))
    for size in sizes:
        x = layers.Conv2DTranspose(
            spec.width_at(2 * size),
            4,
            2,
            padding="same",
            use_bias=False,
            kernel_initializer=_init(),
            dtype=dtype,
            name=f"up{size}",
        )(x)
        x = layers.ReLU(dtype=dtype, name=f"relu{size}")(_normalise(x, size, dtype))
    images = layers.Conv2DTranspose(
        spec.channels,
        4,
        2,
        padding="same",
        kernel_initializer=_init(),
        activation="tanh",
        dtype="float32",
        name="image",
    )(x)
    return keras.Model(conditions.after(latents), images, name="generator")


def discriminator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Images float32 (B, H, W, C) [, labels int32 (B, columns)] -> logits float32 (B, 1)."""
    images = keras.Input((spec.image_size, spec.image_size, spec.channels), name="images")
    x: Any = images
    *sizes, last = spec.stages()
    for size in reversed(sizes):
        first = 2 * size == last
        x = layers.Conv2D(
            spec.width_at(2 * size),
            4,
            2,
            padding="same",
            use_bias=first,
            kernel_initializer=_init(),
            dtype=dtype,
            name=f"down{size}",
        )(x)
        x = x if first else _normalise(x, size, dtype)
        x = layers.LeakyReLU(0.2, dtype=dtype, name=f"relu{size}")(x)
    x = layers.Flatten(dtype=dtype, name="flat")(x)
    logits = projected_logits(spec, x, conditions, dtype)
    return keras.Model(conditions.after(images), logits, name="discriminator")


def _init() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def _normalise(x: Any, size: int, dtype: Any) -> Any:
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=1e-5, gamma_initializer=gamma, dtype=dtype, name=f"norm{size}"
    )(x)
