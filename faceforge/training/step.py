"""One training step: a pure function from a state and a batch to the next state and the step's metrics.

compute_gradients  fakes, logits, losses, penalties, and the gradients of both networks (`training.gradients`)
is_sound           whether losses and gradients are finite and of a sane size
update             both optimizers and the generator's moving average
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops, tree

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import diffaugment, optimizers
from faceforge.training.forward import GAN, Batch
from faceforge.training.gradients import Gradients, compute_gradients
from faceforge.training.per_example import PerExampleGradients
from faceforge.training.state import ACCURACIES, State, Tensors, metric_names

Step = Callable[[State, Batch], tuple[State, dict[str, Any]]]

DIVERGED = 1e4  # sum of both losses; runs that learn stay below a hundred
# Fields of `Gradients` that are averaged over devices.
_AVERAGED = ("generator", "discriminator", "generator_statistics", "discriminator_statistics")


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
        and the scalars of `Budget.scalars`; with differential privacy also what `PoissonFeed` adds, and the scalar
        `noise`.
    """
    per_example = PerExampleGradients(discriminator) if config.dp_epsilon else None
    gan = GAN(generator, discriminator, config, per_example)
    # One kernel for both optimizers and the average, where the backend can fuse them.
    optimise = backend.fuse(partial(_optimise, config.optimizer, config.discriminator_steps))

    def step(state: State, batch: Batch) -> tuple[State, dict[str, Any]]:
        strength = state.strength if config.diffaugment_target else ops.convert_to_tensor(config.diffaugment_strength)
        gradients = compute_gradients(gan, state, batch, strength)
        metrics = {
            "loss/generator": gradients.generator_loss,
            "loss/discriminator": gradients.discriminator_loss,
            "penalty/r1": gradients.r1,
            "penalty/r2": gradients.r2,
            **_observed(config, gradients),
        }
        signal = diffaugment.overfitting(gradients.real_logits, gradients.fake_logits)
        if replicas > 1:
            shared = {name: getattr(gradients, name) for name in _AVERAGED}
            shared, metrics, signal = backend.mean_over_replicas((shared, metrics, signal))
            gradients = gradients._replace(**shared)
        metrics["gradient/generator"] = _norm(gradients.generator)
        metrics["gradient/discriminator"] = _norm(gradients.discriminator)
        # Whether a step counts may not depend on the losses of private images, whose noisy gradients tell enough.
        sound = is_sound(metrics if not config.dp_epsilon else metrics | {"loss/discriminator": ops.zeros(())})
        # A step with NaN or exploding values would spoil the weights for good, so it changes nothing.
        after = ops.cond(
            sound,
            lambda: update(config, state, batch, gradients, signal, optimise),
            lambda: state,
        )
        penalised = ops.cast(batch["penalise"], "float32") if config.gamma > 0 else ops.zeros(())
        metrics |= {"diffaugment/strength": strength, "penalised": penalised}
        counted = {name: ops.where(sound, value, 0.0) for name, value in metrics.items()}
        return after, counted | {"skipped": 1.0 - ops.cast(sound, "float32")}

    return step


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
    gradients: Gradients,
    signal: Any,
    optimise: Callable[..., Any],
) -> State:
    """The next state: both networks moved along their gradients, the average and the statistics brought up to date."""
    generator, generator_slots, average, discriminator, discriminator_slots = optimise(
        (state.generator, gradients.generator, state.generator_slots),
        (state.discriminator, gradients.discriminator, state.discriminator_slots),
        state.average,
        {name: batch[name] for name in ("learning_rate", "beta1", "beta2", "time", "ema_decay")},
    )
    target = config.diffaugment_target
    trained = generator, gradients.generator_statistics, generator_slots, average
    if config.discriminator_steps > 1:
        before = state.generator, state.generator_statistics, state.generator_slots, state.average
        moves = batch["update_generator"] > 0
        trained = tree.map_structure(lambda new, old: ops.where(moves, new, old), trained, before)
    generator, generator_statistics, generator_slots, average = trained
    return State(
        generator=generator,
        generator_statistics=generator_statistics,
        generator_slots=generator_slots,
        average=average,
        discriminator=discriminator,
        discriminator_statistics=gradients.discriminator_statistics,
        discriminator_slots=discriminator_slots,
        vectors=gradients.vectors,
        strength=diffaugment.adapt(state.strength, signal, target, batch["adapt_rate"]) if target else state.strength,
    )


def _optimise(
    optimizer: str,
    discriminator_steps: int,
    for_generator: tuple[Tensors, Tensors, list[Tensors]],
    for_discriminator: tuple[Tensors, Tensors, list[Tensors]],
    average: Tensors,
    hyper: dict[str, Any],
) -> tuple[Tensors, list[Tensors], Tensors, Tensors, list[Tensors]]:
    """Both optimizers and the moving average; weights, gradients and slots of each network come as one tuple."""
    updates = hyper if discriminator_steps == 1 else hyper | {"time": ops.ceil(hyper["time"] / discriminator_steps)}
    generator, generator_slots = optimizers.update(optimizer, *for_generator, updates)
    discriminator, discriminator_slots = optimizers.update(optimizer, *for_discriminator, hyper)
    decay = hyper["ema_decay"]
    average = [a * decay + w * (1.0 - decay) for a, w in zip(average, generator, strict=True)]
    return generator, generator_slots, average, discriminator, discriminator_slots


def _observed(config: TrainConfig, gradients: Gradients) -> dict[str, Any]:
    """Metrics that are read off logits and images."""
    real, fake = gradients.real_logits, gradients.fake_logits
    metrics = {
        "discriminator/pairwise_batch": ops.mean(ops.cast(real > fake, "float32")),
        "samples/variety": ops.mean(ops.var(gradients.fake, axis=0))
        / (ops.mean(ops.var(gradients.real, axis=0)) + 1e-6),
    }
    if set(ACCURACIES) <= set(metric_names(config)):
        correct = (ops.mean(ops.cast(logits > 0, "float32")) for logits in (real, -fake))
        metrics |= dict(zip(ACCURACIES, correct, strict=True))
    return metrics


def _norm(gradients: Tensors) -> Any:
    """The Euclidean norm of all gradients taken together."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
