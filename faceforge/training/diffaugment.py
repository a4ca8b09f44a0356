"""Differentiable augmentation of all images that the discriminator sees, so that small image sets train longer.

Randomness comes in as uniform draws: one row per image, and each kind of augmentation reads its own columns.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from keras import ops

DRAWS = 13  # columns of `draws`
LEVELS = 64  # noise levels; level 0 has no noise
TRANSLATION, CUTOUT = 1 / 8, 1 / 2  # of the image's height and width
CHAIN, BETA_FIRST, BETA_LAST, NOISE = 1000, 1e-4, 0.02, 0.05  # Diffusion-GAN's steps, betas and standard deviation


def change(images: Any, draws: Any, strength: Any, kinds: Collection[str]) -> Any:
    """Randomly augmented images: DiffAugment, Zhao et al. (2020), in its order, plus flips.

    Args:
        images: float32 (B, H, W, C) in [-1, 1].
        draws: float32 (B, DRAWS), uniform in [0, 1).
        strength: float32 scalar in [0, 1]: the probability of each kind for each image. A flip is itself a fair coin,
            so `flip` mirrors half of the images at strength 1: Karras et al. (2020), appendix B.
        kinds: some of `flip`, `colour`, `translation`, `cutout`; others are ignored.
    """
    if "colour" in kinds:
        images = _colour(images, draws[:, 2:5], _chosen(draws[:, 1], strength))
    if "flip" in kinds or "translation" in kinds:
        mirrored = _chosen(2.0 * draws[:, 0], strength) * float("flip" in kinds)
        moved = _chosen(draws[:, 5], strength) * float("translation" in kinds)
        images = _move(images, draws[:, 6:8], mirrored, moved)
    if "cutout" in kinds:
        images = _cut_out(images, draws[:, 9:11], _chosen(draws[:, 8], strength))
    return images


def diffuse(images: Any, draws: Any, noise: Any, strength: Any) -> tuple[Any, Any]:
    """Images with noise of random levels t, and these levels: Diffusion-GAN, Wang et al. (2023), section 3.

        sqrt(abar_t) x + sqrt(1 - abar_t) 0.05 noise

    Half of the images stay at level 0; the others' levels are 1 to T with probability proportional to the level (the
    paper's priority sampling), T = strength (LEVELS - 1) rounded. Level t is step 1000 t / (LEVELS - 1) of the paper's
    chain, whose beta rises from 0.0001 to 0.02.

    Args:
        images: float32 (B, H, W, C) in [-1, 1].
        draws: float32 (B, DRAWS), uniform in [0, 1).
        noise: standard normal, of the shape of `images`.
        strength: float32 scalar in [0, 1].

    Returns:
        The images, and their levels as int32 (B, 1) in [0, LEVELS).
    """
    top = ops.round(strength * (LEVELS - 1))
    # P(t <= k) = k (k + 1) / (T (T + 1)), inverted.
    level = ops.floor(0.5 * (1.0 + ops.sqrt(1.0 + 4.0 * draws[:, 12] * top * (top + 1.0))))
    level = ops.cast(ops.where(draws[:, 11] < 0.5, ops.minimum(level, top), 0.0), "int32")
    signal = _each(ops.take(ops.convert_to_tensor(_signal_shares()), level))
    return ops.sqrt(signal) * images + ops.sqrt(1.0 - signal) * NOISE * noise, level[:, None]


def overfitting(real: Any, fake: Any) -> Any:
    """2 P(D(x) > D(G(z))) - 1 over all pairs of logits (B, 1): 0 for a random discriminator, 1 for a perfect one.

    Replaces E[sign D(x)] of Karras et al. (2020), eq. 1, because relativistic losses give the sign of one logit no
    meaning.
    """
    return ops.mean(ops.sign(real - ops.transpose(fake)))


def adapt(strength: Any, signal: Any, target: float, rate: Any) -> Any:
    """clip(strength + rate sign(signal - target), 0, 1). Karras et al. (2020), section 3."""
    return ops.clip(strength + rate * ops.sign(signal - target), 0.0, 1.0)


def _colour(images: Any, draws: Any, chosen: Any) -> Any:
    """Brightness b in [-0.5, 0.5), then saturation s in [0, 2), then contrast c in [0.5, 1.5), in one expression.

    c s x + c (1 - s) grey + (1 - c) mean + b, where grey is a pixel's mean over channels and mean the image's, both of
    the unchanged image.
    """
    brightness = _each(chosen * (draws[:, 0] - 0.5))
    saturation = _each(1.0 + chosen * (2.0 * draws[:, 1] - 1.0))
    contrast = _each(1.0 + chosen * (draws[:, 2] - 0.5))
    grey = ops.mean(images, axis=3, keepdims=True)
    mean = ops.mean(grey, axis=(1, 2), keepdims=True)
    rest = contrast * (1.0 - saturation) * grey + (1.0 - contrast) * mean + brightness
    return contrast * saturation * images + rest


def _move(images: Any, draws: Any, mirrored: Any, moved: Any) -> Any:
    """Mirrors, then shifts by whole pixels, up to an eighth of the size; empty places become zero."""
    _, height, width, _ = images.shape
    rows = _sources(height, draws[:, 0], moved)
    columns = _sources(width, draws[:, 1], moved)
    columns = columns + mirrored[:, None] * (width - 1.0 - 2.0 * columns)
    turned = ops.transpose(_rows(images, rows), (0, 2, 1, 3))
    return ops.transpose(_rows(turned, columns), (0, 2, 1, 3))


def _sources(size: int, draws: Any, moved: Any) -> Any:
    """(B, size): the source row of each row; outside [0, size) there is none."""
    most = int(size * TRANSLATION + 0.5)
    shift = moved * (ops.floor(draws * (2 * most + 1)) - most)
    return _count(size)[None, :] - shift[:, None]


def _rows(images: Any, sources: Any) -> Any:
    """Each image's rows by number, as a matrix product: the gradient of a gather would be a slow scatter."""
    _, height, width, channels = images.shape
    chosen = ops.cast(ops.equal(sources[:, :, None], _count(height)), "float32")
    rows = ops.matmul(chosen, ops.reshape(images, (-1, height, width * channels)))
    return ops.reshape(rows, (-1, height, width, channels))


def _cut_out(images: Any, draws: Any, chosen: Any) -> Any:
    """Sets a rectangle of half the height and width to zero; its centre is anywhere, so edges may cut it."""
    _, height, width, _ = images.shape
    rows, columns = _span(height, draws[:, 0]), _span(width, draws[:, 1])
    hole = chosen[:, None, None] * rows[:, :, None] * columns[:, None, :]
    return images * (1.0 - hole[..., None])


def _span(size: int, draws: Any) -> Any:
    """(B, size): 1 inside the cut-out span, 0 outside."""
    length = int(size * CUTOUT + 0.5)
    first = ops.floor(draws * (size + 1 - length % 2)) - length // 2
    offset = _count(size)[None, :] - first[:, None]
    return ops.cast(ops.logical_and(offset >= 0, offset < length), "float32")


def _count(size: int) -> Any:
    return ops.convert_to_tensor(np.arange(size, dtype="float32"))


def _chosen(draws: Any, strength: Any) -> Any:
    return ops.cast(draws < strength, "float32")


def _each(values: Any) -> Any:
    """(B,) -> (B, 1, 1, 1)."""
    return ops.reshape(values, (-1, 1, 1, 1))


def _signal_shares() -> Any:
    """abar of each level, float32 (LEVELS,): the product of (1 - beta) up to the level's step of the chain."""
    chain = np.concatenate([[1.0], np.cumprod(1.0 - np.linspace(BETA_FIRST, BETA_LAST, CHAIN))])
    return chain[np.round(np.linspace(0, CHAIN, LEVELS)).astype(int)].astype("float32")
