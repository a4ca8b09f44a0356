"""Gradient penalties on the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from faceforge.compute import backend

_TINY = 1e-12  # under the square root, whose derivative at zero is infinite


def squared_gradient_norm(score: Callable[[Any], Any], images: Any) -> Any:
    """mean over the batch of |d score(x) / d x|^2, a float32 scalar.

    R1 on real images, R2 on generated ones: Mescheder et al. (2018), eq. 9, where gamma / 2 is the weight.

    Args:
        score: images (B, H, W, C) -> logits (B, 1); each logit must depend on its own image only.
        images: the points at which to differentiate, float32 (B, H, W, C).
    """
    return ops.mean(_squared_norms(score, images))


def gradient_norm_gap(score: Callable[[Any], Any], real: Any, fake: Any, shares: Any) -> Any:
    """mean over the batch of (|d score(x) / d x| - 1)^2 at x = s real + (1 - s) fake, a float32 scalar.

    WGAN-GP: Gulrajani et al. (2017), eq. 3, where 10 is the weight.

    Args:
        score: images (B, H, W, C) -> logits (B, 1); each logit must depend on its own image only.
        real: images, float32 (B, H, W, C).
        fake: images, float32 (B, H, W, C).
        shares: s, float32 (B, 1), uniform in [0, 1).
    """
    shares = ops.reshape(shares, (-1, 1, 1, 1))
    norms = ops.sqrt(_squared_norms(score, shares * real + (1.0 - shares) * fake) + _TINY)
    return ops.mean(ops.square(norms - 1.0))


def squared_lengths(gradients: Any) -> Any:
    """|g|^2 of each image's gradient, (B, H, W, C) -> float32 (B,)."""
    return ops.sum(ops.square(ops.cast(gradients, "float32")), axis=(1, 2, 3))


def _squared_norms(score: Callable[[Any], Any], images: Any) -> Any:
    """|d score(x) / d x|^2 of each image, float32 (B,)."""
    _, pull = backend.vjp(lambda x: ops.sum(score(x)), images)
    (gradient,) = pull(ops.ones(()))
    return squared_lengths(gradient)
