"""Gradient penalties on the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from faceforge.compute import backend

_TINY = 1e-12  # under the square root: its slope at zero is infinite


def squared_gradient_norm(score: Callable[[Any], Any], images: Any) -> Any:
    """mean over the batch of |d score(x) / d x|^2, a float32 scalar.

    On real images this is R1, on generated ones R2 (Mescheder et al., 2018, eq. 9), there weighted by gamma / 2.

    Args:
        score: images (B, H, W, C) -> logits (B, 1); an image's logit must depend on that image only.
        images: where to differentiate.
    """
    return ops.mean(_squared_norms(score, images))


def gradient_norm_gap(score: Callable[[Any], Any], real: Any, fake: Any, shares: Any) -> Any:
    """mean over the batch of (|d score(x) / d x| - 1)^2 at x = s real + (1 - s) fake, a float32 scalar.

    WGAN-GP: Gulrajani et al. (2017), eq. 3, there weighted by 10.

    Args:
        score: images (B, H, W, C) -> logits (B, 1); an image's logit must depend on that image only.
        real: images, float32 (B, H, W, C).
        fake: images, float32 (B, H, W, C).
        shares: s, float32 (B, 1), uniform in [0, 1).
    """
    shares = ops.reshape(shares, (-1, 1, 1, 1))
    norms = ops.sqrt(_squared_norms(score, shares * real + (1.0 - shares) * fake) + _TINY)
    return ops.mean(ops.square(norms - 1.0))


def _squared_norms(score: Callable[[Any], Any], images: Any) -> Any:
    """|d score(x) / d x|^2 of each image, float32 (B,)."""
    _, pull = backend.vjp(lambda x: ops.sum(score(x)), images)
    (gradient,) = pull(ops.ones(()))
    return ops.sum(ops.square(ops.cast(gradient, "float32")), axis=(1, 2, 3))
