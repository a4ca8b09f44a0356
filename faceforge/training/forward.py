"""The forward passes of a training step: fakes, what the discriminator sees of images, and its logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import diffaugment, spectral
from faceforge.training.state import State, Tensors

Batch = dict[str, Any]


class GAN(NamedTuple):
    """Both networks, as `models.build.build_networks` makes them, and the recipe they are trained by."""

    generator: keras.Model
    discriminator: keras.Model
    config: TrainConfig


class Views(NamedTuple):
    """Images as the discriminator sees them, float32 (B, H, W, C), and their noise levels, int32 (B, 1)."""

    images: Any
    levels: Any


class Passes(NamedTuple):
    """Results of the forward passes; a pullback maps gradients of outputs to gradients of inputs."""

    real: Any
    fake: Any
    conditions: list[Any]
    real_views: Views
    fake_views: Views
    real_logits: Any
    fake_logits: Any
    generator_statistics: Tensors
    discriminator_statistics: Tensors
    vectors: Tensors
    generator_pullback: Callable[[Any], Any]  # of fakes -> (generator weights,)
    discriminator_pullback: Callable[[Any], Any]  # of both logits -> (discriminator weights, fakes)


def forward(gan: GAN, state: State, batch: Batch, strength: Any) -> Passes:
    """Draws one fake per real image and scores both, ready to be differentiated.

    Args:
        gan: networks and recipe.
        state: their weights.
        batch: see `make_step`.
        strength: of diffaugment, float32 scalar in [0, 1].
    """
    real = ops.cast(batch["images"], "float32") / 127.5 - 1.0
    conditions = _label_inputs(gan.config, batch)

    def generate(weights: Tensors) -> tuple[Any, Tensors]:
        inputs = _inputs(gan.generator, batch["latents"], *conditions)
        return gan.generator.stateless_call(weights, state.generator_statistics, inputs, training=True)

    def score_both(weights: Tensors, fake: Any) -> tuple[tuple[Any, Any], Any]:
        weights, vectors = normalised(gan.config, weights, state.vectors)
        real_views = _augment(gan.config, real, batch, strength, side=0)
        fake_views = _augment(gan.config, fake, batch, strength, side=1)
        # Separate calls: batch statistics of real and fake images must not mix (DCGAN, section 4).
        real_logits, between = score(gan, weights, state.discriminator_statistics, real_views, conditions)
        fake_logits, statistics = score(gan, weights, between, fake_views, conditions)
        return (real_logits, fake_logits), (statistics, vectors, real_views, fake_views)

    fake, generator_pullback, generator_statistics = backend.vjp(generate, state.generator, has_aux=True)
    (real_logits, fake_logits), discriminator_pullback, (discriminator_statistics, vectors, real_views, fake_views) = (
        backend.vjp(score_both, state.discriminator, fake, has_aux=True)
    )
    return Passes(
        real=real,
        fake=fake,
        conditions=conditions,
        real_views=real_views,
        fake_views=fake_views,
        real_logits=real_logits,
        fake_logits=fake_logits,
        generator_statistics=generator_statistics,
        discriminator_statistics=discriminator_statistics,
        vectors=vectors,
        generator_pullback=generator_pullback,
        discriminator_pullback=discriminator_pullback,
    )


def score(gan: GAN, weights: Tensors, statistics: Tensors, views: Views, conditions: list[Any]) -> tuple[Any, Tensors]:
    """Logits (B, 1), and the discriminator's new batch-norm moments."""
    inputs = _inputs(gan.discriminator, views.images, *conditions, views.levels)
    return gan.discriminator.stateless_call(weights, statistics, inputs, training=True)


def normalised(config: TrainConfig, weights: Tensors, vectors: Tensors) -> tuple[Tensors, Tensors]:
    """The discriminator's weights under spectral normalisation, if the recipe has it."""
    return spectral.normalise(weights, vectors) if config.spectral_norm else (weights, vectors)


def _augment(config: TrainConfig, images: Any, batch: Batch, strength: Any, side: int) -> Views:
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


def _label_inputs(config: TrainConfig, batch: Batch) -> list[Any]:
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
