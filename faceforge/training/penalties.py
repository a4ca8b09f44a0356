"""Gradient penalties on the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from faceforge.compute import backend


def squared_gradient_norm(score: Callable[[Any], Any], images: Any) -> Any:
    """mean over the batch of |d score(x) / d x|^2, a float32 scalar.

    On real images this is R1, on generated ones R2 (Mescheder et al., 2018, eq. 9), there weighted by gamma / 2.

    Args:
        score: images (B, H, W, C) -> logits (B, 1); an image's logit must depend on that image only.
        images: where to differentiate.
    """
    gradient = backend.grad(lambda x: ops.sum(score(x)), images)
    return ops.mean(ops.sum(ops.square(ops.cast(gradient, "float32")), axis=(1, 2, 3)))
