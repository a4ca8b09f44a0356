"""Differentially private gradients of the discriminator (DP-SGD: Abadi et al. 2016).

    (sum over the images of the batch of clip(g_i) + N(0, (noise x clip)^2)) / expected batch size

g_i is the gradient of the loss of image i and of a sample from the generator, its partner. The partner depends on no
image, so removing an image removes one clipped term of the sum. Without the partner, most of g_i would be a part that
all images share and that the samples' part cancels, and clipping would act on that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from faceforge.compute import backend
from faceforge.training.per_example import Factors, PerExampleGradients

Tensors = list[Any]

_TINY = 1e-12


class Noise(NamedTuple):
    """The noise of a step, and what it is added to.

    Attributes:
        clip: norm to which the gradient of each image is clipped.
        multiplier: standard deviation of the noise over `clip`, float32 scalar.
        seed: secret, int32 (2,).
        batch_size: expected number of images in a batch.
    """

    clip: float
    multiplier: Any
    seed: Any
    batch_size: int


def private_gradients(per_example: PerExampleGradients, factors: list[Factors], present: Any, noise: Noise) -> Tensors:
    """The noisy mean of clipped gradients, for each trainable variable of the discriminator.

    Args:
        per_example: the discriminator.
        factors: of the gradients of each pair, one row per pair.
        present: 1 for rows that belong to the batch, else 0; float32 (B,).
        noise: its scale and seed.
    """
    norms = ops.sqrt(sum(part.squared_norms() for part in factors) + _TINY)
    # A gradient that is not finite has no bounded part: it is left out, which only removes a term.
    sound = ops.logical_and(ops.isfinite(norms), present > 0)
    weights = ops.where(sound, ops.minimum(1.0, noise.clip / norms), 0.0)
    kept = [part._replace(inputs=_where(sound, part.inputs), slopes=_where(sound, part.slopes)) for part in factors]
    return [
        (total + noise.clip * noise.multiplier * backend.normal(total.shape, _seed(noise.seed, place)))
        / noise.batch_size
        for place, total in enumerate(per_example.weighted_sum(kept, weights))
    ]


def _where(sound: Any, part: Any) -> Any:
    return ops.where(sound[:, None, None], part, 0.0)


def _seed(seed: Any, place: int) -> Any:
    """A seed of its own for each variable."""
    return seed + ops.convert_to_tensor([0, place], "int32")
