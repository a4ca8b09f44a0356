"""Estimates the size of a model's largest file from its settings, before any network is built."""

from __future__ import annotations

from itertools import pairwise

from faceforge.config import Config
from faceforge.models.spec import FIRST_SIZE, ModelSpec

_FLOAT32_BYTES = 4


def generator_bytes(config: Config) -> int:
    """Approximate size in bytes of the generator's file: its first dense layer and its convolutions."""
    spec = ModelSpec(
        **config.model.model_dump(), image_size=config.ingest.image_size, channels=config.ingest.channels, classes=()
    )
    if spec.family == "dcgan":  # a stage is as wide as the next resolution; kernels of 4 x 4
        widths, positions = [spec.width_at(2 * size) for size in spec.stages()[:-1]], 16
    else:
        widths, positions = [spec.width_at(size) for size in spec.stages()], 9
    inputs = spec.latent_size if config.train.labels == () else 2 * spec.latent_size  # labels are embedded to as many
    dense = inputs * FIRST_SIZE**2 * widths[0]
    return _FLOAT32_BYTES * (dense + sum(positions * before * after for before, after in pairwise(widths)))
