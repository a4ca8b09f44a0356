"""The default family `compact`: small plain convolutions that learn fast on few images and few cores.

The generator doubles the resolution by repeating pixels, then convolves (Odena et al., 2016: no checkerboards), with
batch normalisation. The discriminator folds 2 x 2 pixels into channels, so that its first convolution runs at half the
resolution, and has no normalisation: the gradient penalties need each image's logit to depend on that image alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from faceforge.models.conditioning import Conditions, conditioned_latents, projected_logits
from faceforge.models.folding import fold
from faceforge.models.spec import BATCH_NORM_MOMENTUM, FIRST_SIZE, ModelSpec

# (features (B, S, S, C), resolution S) -> features of the same shape
Modulate = Callable[[Any, int], Any]


def generator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C), about [-1, 1]."""
    return upsampling_generator(spec, conditions, dtype)


def upsampling_generator(
    spec: ModelSpec, conditions: Conditions, dtype: Any, style: Callable[[Any, Any], Modulate] | None = None
) -> keras.Model:
    """The generator, whose normalised features may be modulated.

    Args:
        spec: sizes.
        conditions: inputs besides the latents.
        dtype: a Keras dtype policy.
        style: latents with label embeddings (B, 2Z), or latents (B, Z), and the policy -> what modulates the features
            (B, S, S, C) of a resolution S; None: nothing does.
    """
    latents = keras.Input((spec.latent_size,), name="latents")
    first = spec.width_at(FIRST_SIZE)
    codes = conditioned_latents(spec, latents, conditions, dtype)
    modulate = style(codes, dtype) if style else _unchanged
    x = layers.Dense(FIRST_SIZE**2 * first, use_bias=False, kernel_initializer=init(1.0), dtype=dtype, name="first")(
        codes
    )
    x = layers.Reshape((FIRST_SIZE, FIRST_SIZE, first), dtype=dtype, name="grid")(x)
    x = relu(modulate(_normalise(x, f"norm{FIRST_SIZE}", dtype), FIRST_SIZE), f"relu{FIRST_SIZE}", dtype)
    for size in spec.stages()[1:]:
        x = layers.UpSampling2D(dtype=dtype, name=f"repeat{size}")(x)
        x = _conv(x, spec.width_at(size), f"conv{size}", dtype, bias=False)
        x = relu(modulate(_normalise(x, f"norm{size}", dtype), size), f"relu{size}", dtype)
    images = layers.Conv2D(
        spec.channels, 3, padding="same", kernel_initializer=init(0.5), dtype="float32", name="image"
    )(x)
    return keras.Model(conditions.after(latents), images, name="generator")


def discriminator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Images float32 (B, H, W, C) [, labels int32 (B, columns)] -> logits float32 (B, 1)."""
    images = keras.Input((spec.image_size, spec.image_size, spec.channels), name="images")
    *sizes, folded, _ = spec.stages()
    x = relu(_conv(fold(images, dtype), spec.width_at(folded), f"conv{folded}", dtype), f"relu{folded}", dtype)
    for size in reversed(sizes):
        x = layers.Conv2D(
            spec.width_at(size), 4, 2, padding="same", kernel_initializer=init(2.0), dtype=dtype, name=f"down{size}"
        )(x)
        x = relu(x, f"relu{size}", dtype)
    x = layers.Flatten(dtype=dtype, name="flat")(x)
    x = layers.Dense(spec.width_at(FIRST_SIZE), kernel_initializer=init(2.0), dtype=dtype, name="features")(x)
    logits = projected_logits(spec, relu(x, "relu_features", dtype), conditions, dtype)
    return keras.Model(conditions.after(images), logits, name="discriminator")


def relu(x: Any, name: str, dtype: Any) -> Any:
    """The families' leaky ReLU."""
    return layers.LeakyReLU(0.2, dtype=dtype, name=name)(x)


def init(gain: float) -> keras.initializers.Initializer:
    """Normal initial weights of variance `gain` over the number of inputs."""
    return keras.initializers.VarianceScaling(gain, "fan_in", "untruncated_normal")


def _conv(x: Any, width: int, name: str, dtype: Any, bias: bool = True) -> Any:
    return layers.Conv2D(width, 3, padding="same", use_bias=bias, kernel_initializer=init(2.0), dtype=dtype, name=name)(
        x
    )


def _normalise(x: Any, name: str, dtype: Any) -> Any:
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, dtype=dtype, name=name)(x)


def _unchanged(x: Any, size: int) -> Any:
    return x
