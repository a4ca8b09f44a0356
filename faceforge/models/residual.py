"""The large family `residual`: residual networks without normalisation, after R3GAN (Huang et al., 2024).

Each resolution has `BLOCKS` residual blocks x + conv(lrelu(conv(x))), and no other nonlinearity acts on the residual
stream. Signals keep their scale without normalisation because every block starts as the identity: its last convolution
is zero, and its first is scaled down by the square root of the number of blocks (Fixup: Zhang et al., 2019).

Both networks work at half the image resolution and below: 2 x 2 pixels become channels of the first and last
convolution. Grouped and transposed convolutions are avoided, since their gradients are slow under XLA. Resolutions are
halved by averaging 2 x 2 pixels, and doubled by repeating pixels and averaging 3 x 3 of them; without that averaging,
edges of the repeated pixels stay in the stream, and a short training is mostly spent on hiding them.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from faceforge.models.conditioning import Conditions, conditioned_latents, projected_logits
from faceforge.models.folding import fold, unfold
from faceforge.models.spec import FIRST_SIZE, ModelSpec

BLOCKS = 1  # per resolution
SLOPE = 0.2  # of the leaky ReLU
GAIN = 2.0 / (1.0 + SLOPE**2)  # variance gain with which a convolution before such a ReLU keeps a signal's scale


def generator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C), about [-1, 1]."""
    latents = keras.Input((spec.latent_size,), name="latents")
    first, *sizes, _ = spec.stages()
    width = spec.width_at(first)
    x = conditioned_latents(spec, latents, conditions, dtype)
    x = layers.Dense(first**2 * width, kernel_initializer=_init(1.0), dtype=dtype, name="first")(x)
    x = layers.Reshape((first, first, width), dtype=dtype, name="grid")(x)
    x = _blocks(spec, x, first, dtype)
    for size in sizes:
        # A 1 x 1 convolution and repetition commute: convolving first takes a quarter of the work.
        x = _project(x, spec.width_at(size), size, dtype)
        x = layers.UpSampling2D(dtype=dtype, name=f"repeat{size}")(x)
        x = layers.AveragePooling2D(3, 1, padding="same", dtype=dtype, name=f"smooth{size}")(x)
        x = _blocks(spec, x, size, dtype)
    images = unfold(_conv(x, 4 * spec.channels, 0.25, "image", "float32"), "float32")
    network = keras.Model(conditions.after(latents), images, name="generator")
    _start_smooth(network.get_layer("image").kernel)
    return network


def discriminator(spec: ModelSpec, conditions: Conditions, dtype: Any) -> keras.Model:
    """Images float32 (B, H, W, C) [, labels int32 (B, columns)] -> logits float32 (B, 1)."""
    images = keras.Input((spec.image_size, spec.image_size, spec.channels), name="images")
    *sizes, folded, _ = spec.stages()
    x = _conv(fold(images, dtype), spec.width_at(folded), 1.0, f"pixels{folded}", dtype)
    x = _blocks(spec, x, folded, dtype)
    for size in reversed(sizes):
        x = layers.AveragePooling2D(2, dtype=dtype, name=f"average{size}")(x)
        x = _project(x, spec.width_at(size), size, dtype)
        x = _blocks(spec, x, size, dtype)
    x = layers.Flatten(dtype=dtype, name="flat")(x)
    x = layers.Dense(spec.width_at(FIRST_SIZE), kernel_initializer=_init(GAIN), dtype=dtype, name="features")(x)
    logits = projected_logits(spec, _relu(x, "relu_features", dtype), conditions, dtype)
    return keras.Model(conditions.after(images), logits, name="discriminator")


def _start_smooth(kernel: Any) -> None:
    """Initialises the last convolution (3 x 3 to 2 x 2 pixels) as a 1 x 1 convolution with bilinear upsampling.

    Independent weights for the four pixels would start with a checkerboard of period two and keep it for long (compare
    Aitken et al., 2017).
    """
    values = np.asarray(keras.ops.convert_to_numpy(kernel))
    taps = np.array([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]], np.float32)  # weights of the first and of the second pixel
    centre = 3.0 * values[1, 1, :, : values.shape[-1] // 4]  # it was initialised for nine times the inputs
    kernel.assign(np.einsum("yi,xj,fc->ijfyxc", taps, taps, centre).reshape(values.shape))


def _blocks(spec: ModelSpec, x: Any, size: int, dtype: Any) -> Any:
    """The residual blocks of one resolution; at the start each is the identity."""
    width, total = x.shape[-1], BLOCKS * (len(spec.stages()) - 1)
    for number in range(BLOCKS):
        name = f"{size}_{number}"
        y = _relu(_conv(x, width, GAIN / total, f"conv{name}", dtype), f"relu{name}", dtype)
        x = layers.Add(dtype=dtype, name=f"add{name}")([x, _conv(y, width, 0.0, f"change{name}", dtype)])
    return x


def _project(x: Any, width: int, size: int, dtype: Any) -> Any:
    """Changes the number of channels to that of the next resolution, where it differs."""
    if x.shape[-1] == width:
        return x
    return layers.Conv2D(width, 1, use_bias=False, kernel_initializer=_init(1.0), dtype=dtype, name=f"project{size}")(x)


def _conv(x: Any, width: int, gain: float, name: str, dtype: Any) -> Any:
    start = _init(gain) if gain else "zeros"
    return layers.Conv2D(width, 3, padding="same", kernel_initializer=start, dtype=dtype, name=name)(x)


def _relu(x: Any, name: str, dtype: Any) -> Any:
    return layers.LeakyReLU(SLOPE, dtype=dtype, name=name)(x)


def _init(gain: float) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(gain, "fan_in", "untruncated_normal")
