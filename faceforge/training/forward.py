"""The forward pieces of a training step: fakes, what the discriminator sees of images, and its logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import diffaugment, spectral
from faceforge.training.per_example import PerExampleGradients
from faceforge.training.state import State, Tensors

Batch = dict[str, Any]


class GAN(NamedTuple):
    """Both networks, as `models.build.build_networks` makes them, and the recipe they are trained by."""

    generator: keras.Model
    discriminator: keras.Model
    config: TrainConfig
    per_example: PerExampleGradients | None = None  # of the discriminator, with differential privacy


class Fakes(NamedTuple):
    """Generated images, float32 (B, H, W, C) in [-1, 1], ready to be differentiated."""

    images: Any
    statistics: Tensors  # the generator's new batch-norm moments
    pullback: Callable[[Any], Any]  # gradient of the images -> (gradients of the generator's weights,)


class Views(NamedTuple):
    """Images as the discriminator sees them, float32 (B, H, W, C), and their noise levels, int32 (B, 1)."""

    images: Any
    levels: Any


def generate(gan: GAN, state: State, batch: Batch, conditions: list[Any]) -> Fakes:
    """One fake per real image of the batch."""

    def call(weights: Tensors) -> tuple[Any, Tensors]:
        inputs = _inputs(gan.generator, batch["latents"], *conditions)
        return gan.generator.stateless_call(weights, state.generator_statistics, inputs, training=True)

    images, pullback, statistics = backend.vjp(call, state.generator, has_aux=True)
    return Fakes(images, statistics, pullback)


def augment(config: TrainConfig, images: Any, batch: Batch, strength: Any, side: int) -> Views:
    """Images after diffaugment, with their noise levels; `side` 0 = real, 1 = fake."""
    kinds = tuple(kind for kind in config.diffaugment if kind != "noise")
    levels = ops.zeros((images.shape[0], 1), "int32")
    draws = batch["uniforms"][:, 2 + side * diffaugment.DRAWS :][:, : diffaugment.DRAWS]
    if kinds:
        images = diffaugment.change(images, draws, strength, kinds)
    if "noise" in config.diffaugment:
        noise = backend.normal(images.shape, batch["seeds"][0] + side)
        # Real and fake take their level from the same draws, because a relativistic loss compares the two as a pair.
        shared = batch["uniforms"][:, 2:][:, : diffaugment.DRAWS]
        images, levels = diffaugment.diffuse(images, shared, noise, strength)
    return Views(images, levels)


def score(gan: GAN, weights: Tensors, statistics: Tensors, views: Views, conditions: list[Any]) -> tuple[Any, Tensors]:
    """Logits (B, 1), and the discriminator's new batch-norm moments."""
    inputs = _inputs(gan.discriminator, views.images, *conditions, views.levels)
    return gan.discriminator.stateless_call(weights, statistics, inputs, training=True)


def normalised(config: TrainConfig, weights: Tensors, vectors: Tensors) -> tuple[Tensors, Tensors]:
    """The discriminator's weights under spectral normalisation, if the recipe has it."""
    return spectral.normalise(weights, vectors) if config.spectral_norm else (weights, vectors)


def label_inputs(config: TrainConfig, batch: Batch) -> list[Any]:
    """Labels and how much they count: less at first (Shahbazi et al., 2022), some not at all (Ho & Salimans, 2022)."""
    if not batch["labels"].shape[1]:
        return []
    if not (config.label_dropout or config.label_ramp):
        return [batch["labels"]]
    visible = ops.cast(batch["uniforms"][:, :1] >= config.label_dropout, "float32")
    return [batch["labels"], visible * batch["label_weight"]]


def _inputs(network: keras.Model, *available: Any) -> Any:
    """As many of the available inputs as the network takes: labels, their weights and noise levels are optional."""
    return list(available)[: len(network.inputs)] if len(network.inputs) > 1 else available[0]
