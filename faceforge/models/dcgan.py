"""The classical family: DCGAN as in Radford et al. (2016), conditional by embedding and projection.

4 x 4 kernels with stride 2, batch normalisation but at the generator's output and the discriminator's input, ReLU in
the generator, LeakyReLU 0.2 in the discriminator, tanh output, weights from N(0, 0.02).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from faceforge.models.conditioning import conditioned_latents, label_input, projected_logits
from faceforge.models.spec import BATCH_NORM_MOMENTUM, FIRST_SIZE, ModelSpec


def generator(spec: ModelSpec, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C) in [-1, 1]."""
    latents = keras.Input((spec.latent_size,), name="latents")
    labels = label_input(spec)
    sizes = spec.stages()
    # A stage's width is that of the resolution it makes the next one from: 512-256-128-64 at 64 px.
    widths = [spec.width_at(2 * size) for size in sizes[:-1]]
    x = conditioned_latents(spec, latents, labels, dtype)
    x = layers.Dense(FIRST_SIZE**2 * widths[0], use_bias=False, kernel_initializer=_init(), dtype=dtype)(x)
    x = layers.Reshape((FIRST_SIZE, FIRST_SIZE, widths[0]), dtype=dtype)(x)
    x = layers.ReLU(dtype=dtype)(_normalise(x, dtype))
    for width in widths[1:]:
        x = layers.Conv2DTranspose(
            width, 4, 2, padding="same", use_bias=False, kernel_initializer=_init(), dtype=dtype
        )(x)
        x = layers.ReLU(dtype=dtype)(_normalise(x, dtype))
    images = layers.Conv2DTranspose(
        spec.channels, 4, 2, padding="same", kernel_initializer=_init(), activation="tanh", dtype="float32"
    )(x)
    return keras.Model([latents, *labels] if labels else latents, images, name="generator")


def discriminator(spec: ModelSpec, dtype: Any) -> keras.Model:
    """Images float32 (B, H, W, C) [, labels int32 (B, columns)] -> logits float32 (B, 1)."""
    images = keras.Input((spec.image_size, spec.image_size, spec.channels), name="images")
    labels = label_input(spec)
    x: Any = images
    for size in reversed(spec.stages()[1:]):
        first = size == spec.image_size
        x = layers.Conv2D(
            spec.width_at(size), 4, 2, padding="same", use_bias=first, kernel_initializer=_init(), dtype=dtype
        )(x)
        x = layers.LeakyReLU(0.2, dtype=dtype)(x if first else _normalise(x, dtype))
    x = layers.Flatten(dtype=dtype)(x)
    logits = projected_logits(spec, x, labels, dtype)
    return keras.Model([images, *labels] if labels else images, logits, name="discriminator")


def _init() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def _normalise(x: Any, dtype: Any) -> Any:
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=1e-5, gamma_initializer=gamma, dtype=dtype)(
        x
    )
