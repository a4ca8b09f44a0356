"""One training step: a pure function from a state and a batch to the next state and the step's metrics.

    forward        one fake per real image, and the discriminator's logits of both
    loss_gradients the losses, and their gradients for both networks
    add_penalties  R1, R2 or WGAN-GP, every `penalty_interval` steps
    is_sound       whether losses and gradients are finite and of a sane size
    update         both optimizers and the generator's moving average

The generator runs once a step, and the discriminator once over its images: both updates use the same fakes and the same
logits, where alternating updates pass the fakes through the discriminator twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import diffaugment, losses, optimizers
from faceforge.training.forward import GAN, Batch, Passes, Views, forward, normalised, score
from faceforge.training.penalties import gradient_norm_gap, squared_gradient_norm
from faceforge.training.state import ACCURACIES, State, Tensors, metric_names

Step = Callable[[State, Batch], tuple[State, dict[str, Any]]]

DIVERGED = 1e4  # sum of both losses; runs that learn stay below a hundred


def make_step(generator: keras.Model, discriminator: keras.Model, config: TrainConfig, replicas: int = 1) -> Step:
    """The training step of two networks from `models.build.build_networks`, to be compiled by the caller.

    Args:
        generator: its inputs, in order: latents [, labels [, weights]].
        discriminator: images [, labels [, weights]] [, levels].
        config: the recipe.
        replicas: devices that take this step together, each with its part of the batch.

    Returns:
        `(state, batch) -> (state, metrics)`, where a batch has `images` uint8 (B, H, W, C), `labels` int32
        (B, columns), `latents` float32 (B, Z), `uniforms` float32 (B, 2 + 2 * DRAWS) in [0, 1), `seeds` int32 (B, 2)
        and the scalars of `Budget.scalars`.
    """
    gan = GAN(generator, discriminator, config)
    # One kernel for both optimizers and the average, where the backend can fuse them.
    optimise = backend.fuse(partial(_optimise, config.optimizer))

    def step(state: State, batch: Batch) -> tuple[State, dict[str, Any]]:
        strength = state.strength if config.diffaugment_target else ops.convert_to_tensor(config.diffaugment_strength)
        passes = forward(gan, state, batch, strength)
        g_loss, d_loss, g_gradients, d_gradients = loss_gradients(config, passes)
        d_gradients, r1, r2 = add_penalties(gan, state, batch, passes, d_gradients)
        metrics = {"loss/generator": g_loss, "loss/discriminator": d_loss, "penalty/r1": r1, "penalty/r2": r2}
        metrics |= _observed(config, passes)
        signal = diffaugment.overfitting(passes.real_logits, passes.fake_logits)
        if replicas > 1:
            shared = (g_gradients, d_gradients, passes.generator_statistics, passes.discriminator_statistics)
            shared, metrics, signal = backend.mean_over_replicas((shared, metrics, signal))
            g_gradients, d_gradients, generator_statistics, discriminator_statistics = shared
            passes = passes._replace(
                generator_statistics=generator_statistics, discriminator_statistics=discriminator_statistics
            )
        metrics |= {"gradient/generator": _norm(g_gradients), "gradient/discriminator": _norm(d_gradients)}
        sound = is_sound(metrics)
        # A step with NaN or exploding values would spoil the weights for good, so it changes nothing.
        after = ops.cond(
            sound,
            lambda: update(config, state, batch, passes, g_gradients, d_gradients, signal, optimise),
            lambda: state,
        )
        penalised = ops.cast(batch["penalise"], "float32") if config.gamma > 0 else ops.zeros(())
        metrics |= {"diffaugment/strength": strength, "penalised": penalised}
        counted = {name: ops.where(sound, value, 0.0) for name, value in metrics.items()}
        return after, counted | {"skipped": 1.0 - ops.cast(sound, "float32")}

    return step


def loss_gradients(config: TrainConfig, passes: Passes) -> tuple[Any, Any, Tensors, Tensors]:
    """Generator loss, discriminator loss, and the gradients of each for the weights of its network."""
    logits = passes.real_logits, passes.fake_logits
    d_loss, d_loss_pullback = backend.vjp(
        lambda real, fake: losses.discriminator_loss(config.loss, real, fake, config.label_smoothing), *logits
    )
    g_loss, g_loss_pullback = backend.vjp(lambda real, fake: losses.generator_loss(config.loss, real, fake), *logits)
    one = ops.ones(())
    # The chain rule, twice through the one recorded pass of the discriminator: to its weights for its own loss, and to
    # the pixels of the fakes, and from there to the generator's weights, for the generator's loss.
    d_gradients, _ = passes.discriminator_pullback(d_loss_pullback(one))
    _, fake_gradients = passes.discriminator_pullback(g_loss_pullback(one))
    (g_gradients,) = passes.generator_pullback(fake_gradients)
    return g_loss, d_loss, g_gradients, d_gradients


def add_penalties(gan: GAN, state: State, batch: Batch, passes: Passes, gradients: Tensors) -> tuple[Tensors, Any, Any]:
    """Adds the gradient penalty to the discriminator's gradients in steps that have one (`batch["penalise"]` > 0).

    The weight is gamma times the interval, so that the penalty's mean over all steps is that of one at every step:
    lazy regularisation, Karras et al. (2020, StyleGAN2), section 3.

    Returns:
        The discriminator's gradients, R1 (with `interpolates`, the WGAN-GP term) and R2, both before weighting.
    """
    if not gan.config.gamma > 0:
        return gradients, ops.zeros(()), ops.zeros(())

    def penalised() -> tuple[Tensors, Any, Any]:
        _, pullback, (r1, r2) = backend.vjp(
            lambda weights: _penalty(gan, state, batch, passes, weights), state.discriminator, has_aux=True
        )
        (slopes,) = pullback(ops.ones(()))
        weight = batch["gamma"] * gan.config.penalty_interval
        return [g + weight * slope for g, slope in zip(gradients, slopes, strict=True)], r1, r2

    return ops.cond(batch["penalise"] > 0, penalised, lambda: (gradients, ops.zeros(()), ops.zeros(())))


def is_sound(metrics: dict[str, Any]) -> Any:
    """Whether a step may change the weights: losses within `DIVERGED` and gradients finite; a boolean scalar.

    Losses that grow without end stay finite for long, hence the limit. Comparisons with NaN are false.
    """
    small = ops.abs(metrics["loss/generator"]) + ops.abs(metrics["loss/discriminator"]) < DIVERGED
    return ops.logical_and(small, ops.isfinite(metrics["gradient/generator"] + metrics["gradient/discriminator"]))


def update(
    config: TrainConfig,
    state: State,
    batch: Batch,
    passes: Passes,
    g_gradients: Tensors,
    d_gradients: Tensors,
    signal: Any,
    optimise: Callable[..., Any],
) -> State:
    """The next state: both networks moved along their gradients, the average and the statistics brought up to date."""
    generator, generator_slots, average, discriminator, discriminator_slots = optimise(
        (state.generator, g_gradients, state.generator_slots),
        (state.discriminator, d_gradients, state.discriminator_slots),
        state.average,
        {name: batch[name] for name in ("learning_rate", "beta1", "beta2", "time", "ema_decay")},
    )
    target = config.diffaugment_target
    return State(
        generator=generator,
        generator_statistics=passes.generator_statistics,
        generator_slots=generator_slots,
        average=average,
        discriminator=discriminator,
        discriminator_statistics=passes.discriminator_statistics,
        discriminator_slots=discriminator_slots,
        vectors=passes.vectors,
        strength=diffaugment.adapt(state.strength, signal, target, batch["adapt_rate"]) if target else state.strength,
    )


def _optimise(
    optimizer: str,
    for_generator: tuple[Tensors, Tensors, list[Tensors]],
    for_discriminator: tuple[Tensors, Tensors, list[Tensors]],
    average: Tensors,
    hyper: dict[str, Any],
) -> tuple[Tensors, list[Tensors], Tensors, Tensors, list[Tensors]]:
    """Both optimizers and the moving average; weights, gradients and slots of each network come as one tuple."""
    generator, generator_slots = optimizers.update(optimizer, *for_generator, hyper)
    discriminator, discriminator_slots = optimizers.update(optimizer, *for_discriminator, hyper)
    decay = hyper["ema_decay"]
    average = [a * decay + w * (1.0 - decay) for a, w in zip(average, generator, strict=True)]
    return generator, generator_slots, average, discriminator, discriminator_slots


def _penalty(gan: GAN, state: State, batch: Batch, passes: Passes, weights: Tensors) -> tuple[Any, tuple[Any, Any]]:
    """The penalty before weighting, and its two parts for the log."""
    weights, _ = normalised(gan.config, weights, state.vectors)

    def logits(levels: Any, images: Any) -> Any:
        return score(gan, weights, state.discriminator_statistics, Views(images, levels), passes.conditions)[0]

    real, fake = passes.real_views, passes.fake_views
    if gan.config.penalty == "interpolates":
        shares = batch["uniforms"][:, 1:2]
        gap = gradient_norm_gap(partial(logits, real.levels), real.images, fake.images, shares)
        return gap, (gap, ops.zeros(()))
    r1 = squared_gradient_norm(partial(logits, real.levels), real.images)
    both = gan.config.penalty == "r1+r2"
    r2 = squared_gradient_norm(partial(logits, fake.levels), fake.images) if both else ops.zeros(())
    return 0.5 * (r1 + r2), (r1, r2)


def _observed(config: TrainConfig, passes: Passes) -> dict[str, Any]:
    """Metrics that are read off logits and images."""
    real, fake = passes.real_logits, passes.fake_logits
    metrics = {
        "discriminator/pairwise_batch": ops.mean(ops.cast(real > fake, "float32")),
        "samples/variety": ops.mean(ops.var(passes.fake, axis=0)) / (ops.mean(ops.var(passes.real, axis=0)) + 1e-6),
    }
    if set(ACCURACIES) <= set(metric_names(config)):
        correct = (ops.mean(ops.cast(logits > 0, "float32")) for logits in (real, -fake))
        metrics |= dict(zip(ACCURACIES, correct, strict=True))
    return metrics


def _norm(gradients: Tensors) -> Any:
    """The Euclidean norm of all gradients taken together."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
