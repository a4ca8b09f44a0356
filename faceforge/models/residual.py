"""The modern family: residual stages without normalisation.

After R3GAN (Huang et al., 2024): no batch statistics, residual branches that start near zero (Zhang et al., 2019,
"Fixup"), plain convolutions, bilinear-free resampling. The full resolution is reached by moving channels into
space (and back in the discriminator), since convolutions there cost most and add least.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from faceforge.models.conditioning import conditioned_latents, label_input, projected_logits
from faceforge.models.spec import FIRST_SIZE, ModelSpec


def generator(spec: ModelSpec, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C), about [-1, 1]."""
    latents = keras.Input((spec.latent_size,), name="latents")
    labels = label_input(spec)
    sizes = spec.stages()
    first = spec.width_at(sizes[0])
    x = conditioned_latents(spec, latents, labels, dtype)
    x = layers.Dense(FIRST_SIZE * FIRST_SIZE * first, kernel_initializer=_init(1.0), dtype=dtype, name="first")(x)
    x = layers.Reshape((FIRST_SIZE, FIRST_SIZE, first), dtype=dtype)(x)
    x = _block(x, "block4", dtype)
    for size in sizes[1:-1]:
        if x.shape[-1] != spec.width_at(size):
            x = _conv(x, spec.width_at(size), 1, f"narrow{size}", dtype)
        x = layers.UpSampling2D(dtype=dtype)(x)
        x = _block(x, f"block{size}", dtype)
    x = _conv(_relu(x, dtype), 4 * spec.width // 2, 3, "unfold", dtype)
    x = _relu(_depth_to_space(x, dtype), dtype)
    images = layers.Conv2D(
        spec.channels, 3, padding="same", kernel_initializer=_init(0.5), dtype="float32", name="image"
    )(x)
    return keras.Model([latents, *labels], images, name="generator")


def discriminator(spec: ModelSpec, dtype: Any) -> keras.Model:
    """Images float32 (B, H, W, C) [, labels int32 (B, columns)] -> logits float32 (B, 1)."""
    images = keras.Input((spec.image_size, spec.image_size, spec.channels), name="images")
    labels = label_input(spec)
    sizes = spec.stages()[:-1]
    x = _space_to_depth(images, dtype)
    x = _conv(x, spec.width_at(sizes[-1]), 3, "fold", dtype)
    for size in reversed(sizes[1:]):
        x = _block(x, f"block{size}", dtype)
        x = layers.AveragePooling2D(2, dtype=dtype)(x)
        if x.shape[-1] != spec.width_at(size // 2):
            x = _conv(x, spec.width_at(size // 2), 1, f"widen{size // 2}", dtype)
    x = _block(x, "block4", dtype)
    x = layers.Flatten(dtype=dtype)(_relu(x, dtype))
    features = layers.Dense(spec.width_at(sizes[0]), kernel_initializer=_init(2.0), dtype=dtype, name="features")(x)
    logits = projected_logits(spec, _relu(features, dtype), labels, dtype)
    return keras.Model([images, *labels], logits, name="discriminator")


def _block(x: Any, name: str, dtype: Any) -> Any:
    """x + conv(relu(conv(relu(x)))), the second convolution starting near zero."""
    width = x.shape[-1]
    h = _conv(_relu(x, dtype), width, 3, f"{name}_a", dtype)
    h = _conv(_relu(h, dtype), width, 3, f"{name}_b", dtype, scale=0.1)
    return layers.Add(dtype=dtype)([x, h])


def _conv(x: Any, width: int, kernel: int, name: str, dtype: Any, scale: float = 1.0) -> Any:
    gain = (2.0 if kernel > 1 else 1.0) * scale
    return layers.Conv2D(width, kernel, padding="same", kernel_initializer=_init(gain), dtype=dtype, name=name)(x)


def _relu(x: Any, dtype: Any) -> Any:
    return layers.LeakyReLU(0.2, dtype=dtype)(x)


def _init(gain: float) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(gain, "fan_in", "untruncated_normal")


def _depth_to_space(x: Any, dtype: Any) -> Any:
    """(B, H, W, 4C) -> (B, 2H, 2W, C), of stock layers so that a saved network needs no code of ours."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height, width, 2, 2, channels // 4), dtype=dtype)(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=dtype)(x)
    return layers.Reshape((2 * height, 2 * width, channels // 4), dtype=dtype)(x)


def _space_to_depth(x: Any, dtype: Any) -> Any:
    """(B, 2H, 2W, C) -> (B, H, W, 4C)."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height // 2, 2, width // 2, 2, channels), dtype=dtype)(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=dtype)(x)
    return layers.Reshape((height // 2, width // 2, 4 * channels), dtype=dtype)(x)
