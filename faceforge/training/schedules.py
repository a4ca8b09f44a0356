"""Schedules as pure functions of the progress or of the number of images seen."""

from __future__ import annotations

import math

EMA_RAMP = 0.2  # upper limit of the half-life, as a share of the images seen so far (StyleGAN2-ADA's rampup is 0.05)


def cosine(start: float, end: float, progress: float) -> float:
    """Cosine schedule from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def ema_decay(half_life_images: float, images_seen: int, batch_size: int) -> float:
    """The moving average's decay for one step of `batch_size` images; 0 copies the weights."""
    half_life = min(half_life_images, EMA_RAMP * images_seen)
    return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0


def ramp(progress: float, share: float) -> float:
    """Linear ramp from 0 to 1 over the first `share` of the budget; always 1 if the share is 0."""
    return min(progress / share, 1.0) if share > 0 else 1.0
