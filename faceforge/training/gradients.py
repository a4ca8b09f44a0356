"""Losses and gradients of both networks for one batch.

The generator runs once a step, and the discriminator once over its images: both updates use the same fakes and the same
logits, where alternating updates pass the fakes through the discriminator twice.

Penalties of every 8th step or so have passes of their own (`_separate_penalty`). Penalties of every step share the one
that scores the images (`_shared_penalty`): the gradient of each logit at its own image gives the penalty by its length
and, multiplied by the gradient of the generator's loss at the logit, the gradient that the generator needs. They then
cost about as much as penalties of their own at every 8th step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import losses
from faceforge.training.forward import GAN, Batch, Views, augment, generate, label_inputs, normalised, score
from faceforge.training.penalties import gradient_norm_gap, squared_gradient_norm, squared_lengths
from faceforge.training.per_example import PerExampleGradients
from faceforge.training.private_gradients import Noise, private_gradients
from faceforge.training.state import State, Tensors


class Gradients(NamedTuple):
    """Losses and gradients of a batch, and what else its passes through the networks gave."""

    real: Any  # float32 (B, H, W, C) in [-1, 1]
    fake: Any
    real_logits: Any  # float32 (B, 1)
    fake_logits: Any
    generator_loss: Any
    discriminator_loss: Any
    generator: Tensors  # gradients of the weights
    discriminator: Tensors  # likewise, penalties included
    r1: Any  # before weighting; 0 in steps without penalties; with `interpolates` the WGAN-GP term
    r2: Any
    generator_statistics: Tensors
    discriminator_statistics: Tensors
    vectors: Tensors  # of spectral normalisation


class _Scored(NamedTuple):
    """The discriminator's part of `Gradients`."""

    logits: tuple[Any, Any]
    losses: tuple[Any, Any]  # generator, discriminator
    gradients: Tensors
    fake_gradient: Callable[[], Any]  # of the generator's loss at the fakes, float32 (B, H, W, C)
    penalties: tuple[Any, Any]
    statistics: Tensors
    vectors: Tensors


def shares_pass(discriminator: keras.Model, config: TrainConfig) -> bool:
    """Whether penalties share the pass that scores the images.

    They can if every step has them, at these very images, and if each logit depends on its own image only: a
    discriminator with batch normalisation has non-trainable variables.
    """
    every_step = config.gamma > 0 and config.penalty_interval == 1 and config.penalty != "interpolates"
    return every_step and not discriminator.non_trainable_variables


def compute_gradients(gan: GAN, state: State, batch: Batch, strength: Any) -> Gradients:
    """Losses and gradients of both networks for one batch.

    Args:
        gan: networks and recipe.
        state: their weights.
        batch: see `make_step`.
        strength: of diffaugment, float32 scalar in [0, 1].
    """
    real = ops.cast(batch["images"], "float32") / 127.5 - 1.0
    conditions = label_inputs(gan.config, batch)
    passes: Callable[..., _Scored]
    if gan.per_example is not None:
        fakes = generate(gan, state, batch, _fake_conditions(gan, batch))
        passes = partial(_private, gan.per_example)
    else:
        fakes = generate(gan, state, batch, conditions)
        passes = _shared_penalty if shares_pass(gan.discriminator, gan.config) else _separate_penalty
    scored = passes(gan, state, batch, strength, real, fakes.images, conditions)
    generator_gradients = _generator_gradients(gan.config, state, batch, lambda: fakes.pullback(scored.fake_gradient()))
    return Gradients(
        real,
        fakes.images,
        *scored.logits,
        *scored.losses,
        generator_gradients,
        scored.gradients,
        *scored.penalties,
        fakes.statistics,
        scored.statistics,
        scored.vectors,
    )


def _separate_penalty(
    gan: GAN, state: State, batch: Batch, strength: Any, real: Any, fake: Any, conditions: list[Any]
) -> _Scored:
    """Scores real, then generated images; the penalty is computed by itself in the steps that have one."""
    config = gan.config

    def score_both(weights: Tensors, fake: Any) -> tuple[tuple[Any, Any], Any]:
        weights, vectors = normalised(config, weights, state.vectors)
        real_views = augment(config, real, batch, strength, side=0)
        fake_views = augment(config, fake, batch, strength, side=1)
        # Separate calls: batch statistics of real and fake images must not mix (DCGAN, section 4).
        real_logits, between = score(gan, weights, state.discriminator_statistics, real_views, conditions)
        fake_logits, statistics = score(gan, weights, between, fake_views, conditions)
        return (real_logits, fake_logits), (statistics, vectors, real_views, fake_views)

    logits, pullback, (statistics, vectors, real_views, fake_views) = backend.vjp(
        score_both, state.discriminator, fake, has_aux=True
    )
    both_losses, for_discriminator, for_generator = _losses(config, *logits)
    # The chain rule, twice through the one recorded pass of the discriminator: to its weights for its own loss, and to
    # the pixels of the fakes for the generator's.
    gradients, _ = pullback(for_discriminator)
    penalty = partial(_penalty, gan, state, batch, (real_views, fake_views), conditions)
    gradients, r1, r2 = _add_penalty(config, state, batch, gradients, penalty)
    return _Scored(logits, both_losses, gradients, lambda: pullback(for_generator)[1], (r1, r2), statistics, vectors)


def _shared_penalty(
    gan: GAN, state: State, batch: Batch, strength: Any, real: Any, fake: Any, conditions: list[Any]
) -> _Scored:
    """Scores real and generated images as one batch and differentiates each logit at its own image."""
    config, rows = gan.config, real.shape[0]
    real_views, fake_views, augment_pullback = _augment_both(config, real, fake, batch, strength)
    images = ops.concatenate([real_views.images, fake_views.images])
    levels = ops.concatenate([real_views.levels, fake_views.levels])
    conditions = [ops.concatenate([column, column]) for column in conditions]

    def score_and_penalise(weights: Tensors) -> tuple[tuple[Any, Any, Any], Any]:
        weights, vectors = normalised(config, weights, state.vectors)
        logits, pullback = backend.vjp(
            lambda x: score(gan, weights, state.discriminator_statistics, Views(x, levels), conditions)[0], images
        )
        (slopes,) = pullback(ops.ones_like(logits))
        squares = squared_lengths(slopes)
        r1, r2 = ops.mean(squares[:rows]), ops.mean(squares[rows:])
        penalty = 0.5 * (r1 + r2 if config.penalty == "r1+r2" else r1)
        return (logits[:rows], logits[rows:], penalty), (slopes[rows:], vectors, r1, r2)

    (real_logits, fake_logits, _), pullback, (slopes, vectors, r1, r2) = backend.vjp(
        score_and_penalise, state.discriminator, has_aux=True
    )
    logits = real_logits, fake_logits
    both_losses, (at_real, at_fake), (_, for_generator) = _losses(config, *logits)
    (gradients,) = pullback((at_real, at_fake, batch["gamma"]))
    penalties = r1, r2 if config.penalty == "r1+r2" else ops.zeros(())
    return _Scored(
        logits,
        both_losses,
        gradients,
        lambda: augment_pullback(for_generator[:, :, None, None] * slopes)[0],
        penalties,
        state.discriminator_statistics,
        vectors,
    )


def _private(
    per_example: PerExampleGradients,
    gan: GAN,
    state: State,
    batch: Batch,
    strength: Any,
    real: Any,
    fake: Any,
    conditions: list[Any],
) -> _Scored:
    """Scores real and generated images as one batch; clips the gradient of each pair and adds noise."""
    config, rows = gan.config, real.shape[0]
    real_views, fake_views, augment_pullback = _augment_both(config, real, fake, batch, strength)
    pairs = zip(conditions, _fake_conditions(gan, batch), strict=True)
    images = ops.concatenate([real_views.images, fake_views.images])
    levels = ops.concatenate([real_views.levels, fake_views.levels])
    available = [images, *(ops.concatenate(pair) for pair in pairs), levels]
    inputs = available[: len(gan.discriminator.inputs)]
    both, pullback = per_example.score(state.discriminator, inputs)
    logits = both[:rows], both[rows:]
    both_losses, for_discriminator, (_, for_generator) = _losses(config, *logits)
    # Losses are means over the rows, and clipping acts on the gradient of each row.
    factors, _ = pullback(rows * ops.concatenate(for_discriminator))
    noise = Noise(config.dp_clip, batch["noise"], batch["noise_seed"], config.batch_size)
    gradients = private_gradients(per_example, [part.paired() for part in factors], batch["present"], noise)

    def fake_gradient() -> Any:
        _, at_images = pullback(ops.concatenate([ops.zeros_like(for_generator), for_generator]))
        return augment_pullback(at_images[rows:])[0]

    none = ops.zeros(()), ops.zeros(())
    return _Scored(logits, both_losses, gradients, fake_gradient, none, state.discriminator_statistics, state.vectors)


def _augment_both(
    config: TrainConfig, real: Any, fake: Any, batch: Batch, strength: Any
) -> tuple[Views, Views, Callable[[Any], Any]]:
    """Both kinds of images as the discriminator sees them, and the way back from those of the fakes to the fakes."""

    def augment_fakes(images: Any) -> tuple[Any, Any]:
        views = augment(config, images, batch, strength, side=1)
        return views.images, views.levels

    fake_images, augment_pullback, fake_levels = backend.vjp(augment_fakes, fake, has_aux=True)
    real_views = augment(config, real, batch, strength, side=0)
    return real_views, Views(ops.stop_gradient(fake_images), fake_levels), augment_pullback


def _fake_conditions(gan: GAN, batch: Batch) -> list[Any]:
    """Conditions of the fakes with differential privacy: those of the real images would reveal their labels."""
    return label_inputs(gan.config, batch | {"labels": batch["fake_labels"]})


def _generator_gradients(
    config: TrainConfig, state: State, batch: Batch, gradients: Callable[[], tuple[Tensors]]
) -> Tensors:
    """The generator's gradients; zeros in steps that update the discriminator only."""
    if config.discriminator_steps == 1:
        return gradients()[0]
    return ops.cond(
        batch["update_generator"] > 0,
        lambda: gradients()[0],
        lambda: [ops.zeros_like(weight) for weight in state.generator],
    )


def _losses(config: TrainConfig, real: Any, fake: Any) -> tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]:
    """Both losses (generator, discriminator); gradients at both logits of the discriminator's, of the generator's."""
    d_loss, d_pullback = backend.vjp(
        lambda real, fake: losses.discriminator_loss(config.loss, real, fake, config.label_smoothing), real, fake
    )
    g_loss, g_pullback = backend.vjp(lambda real, fake: losses.generator_loss(config.loss, real, fake), real, fake)
    one = ops.ones(())
    return (g_loss, d_loss), d_pullback(one), g_pullback(one)


def _add_penalty(
    config: TrainConfig, state: State, batch: Batch, gradients: Tensors, penalty: Callable[[Tensors], Any]
) -> tuple[Tensors, Any, Any]:
    """Adds the gradients of the penalty in steps that have one (`batch["penalise"]` > 0).

    The weight is gamma times the interval, so that the penalty's mean over all steps is that of one at every step:
    lazy regularisation, Karras et al. (2020, StyleGAN2), section 3.

    Returns:
        The discriminator's gradients, R1 (with `interpolates`, the WGAN-GP term) and R2, both before weighting.
    """
    if not config.gamma > 0:
        return gradients, ops.zeros(()), ops.zeros(())

    def penalised() -> tuple[Tensors, Any, Any]:
        _, pullback, (r1, r2) = backend.vjp(penalty, state.discriminator, has_aux=True)
        (slopes,) = pullback(ops.ones(()))
        weight = batch["gamma"] * config.penalty_interval
        return [g + weight * slope for g, slope in zip(gradients, slopes, strict=True)], r1, r2

    return ops.cond(batch["penalise"] > 0, penalised, lambda: (gradients, ops.zeros(()), ops.zeros(())))


def _penalty(
    gan: GAN, state: State, batch: Batch, views: tuple[Views, Views], conditions: list[Any], weights: Tensors
) -> tuple[Any, tuple[Any, Any]]:
    """The penalty before weighting, and its two parts for the log."""
    weights, _ = normalised(gan.config, weights, state.vectors)
    real, fake = views

    def logits(levels: Any, images: Any) -> Any:
        return score(gan, weights, state.discriminator_statistics, Views(images, levels), conditions)[0]

    if gan.config.penalty == "interpolates":
        shares = batch["uniforms"][:, 1:2]
        gap = gradient_norm_gap(partial(logits, real.levels), real.images, fake.images, shares)
        return gap, (gap, ops.zeros(()))
    r1 = squared_gradient_norm(partial(logits, real.levels), real.images)
    both = gan.config.penalty == "r1+r2"
    r2 = squared_gradient_norm(partial(logits, fake.levels), fake.images) if both else ops.zeros(())
    return 0.5 * (r1 + r2), (r1, r2)
