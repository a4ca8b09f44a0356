"""One training step: a pure function from a state and a batch to the next state and its metrics.

The generator runs once a step and the discriminator once over its images: both updates learn from the same fakes and
the same logits, where alternating updates pass the fakes through the discriminator twice (benchmarks/train_step.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import losses, optimizers
from faceforge.training.penalties import squared_gradient_norm

Tensors = list[Any]


class State(NamedTuple):
    """Everything that training changes. Lists follow the order of the networks' Keras variables, all float32."""

    generator: Tensors
    generator_statistics: Tensors  # non-trainable: batch-norm moments
    generator_slots: list[Tensors]
    average: Tensors  # moving average of `generator`
    discriminator: Tensors
    discriminator_statistics: Tensors
    discriminator_slots: list[Tensors]


def initial_state(generator: keras.Model, discriminator: keras.Model, optimizer: str) -> State:
    """The state of freshly built networks."""

    def copy(variables: list[Any]) -> Tensors:
        return [ops.convert_to_tensor(ops.copy(variable.value)) for variable in variables]

    def zeros(variables: list[Any]) -> list[Tensors]:
        return [[ops.zeros(v.shape, "float32") for v in variables] for _ in range(optimizers.slots(optimizer))]

    return State(
        generator=copy(generator.trainable_variables),
        generator_statistics=copy(generator.non_trainable_variables),
        generator_slots=zeros(generator.trainable_variables),
        average=copy(generator.trainable_variables),
        discriminator=copy(discriminator.trainable_variables),
        discriminator_statistics=copy(discriminator.non_trainable_variables),
        discriminator_slots=zeros(discriminator.trainable_variables),
    )


def make_step(
    generator: keras.Model, discriminator: keras.Model, config: TrainConfig
) -> Callable[..., tuple[State, dict[str, Any]]]:
    """The step for two networks, compiled.

    Returns:
        `step(state, images, labels, latents, hyper, penalise) -> (state, metrics)` with images uint8 (B, H, W, C),
        labels int32 (B, columns), latents float32 (B, Z), hyper a dict of float32 scalars (learning_rate, beta1,
        beta2, time, gamma, ema_decay) and the Python bool `penalise`.
    """

    def generate(weights: Tensors, statistics: Tensors, latents: Any, labels: Any) -> tuple[Any, Tensors]:
        inputs = [latents, labels] if len(generator.inputs) > 1 else latents
        return generator.stateless_call(weights, statistics, inputs, training=True)

    def judge(weights: Tensors, statistics: Tensors, images: Any, labels: Any) -> tuple[Any, Tensors]:
        inputs = [images, labels] if len(discriminator.inputs) > 1 else images
        return discriminator.stateless_call(weights, statistics, inputs, training=True)

    def step(
        state: State, images: Any, labels: Any, latents: Any, hyper: dict[str, Any], penalise: bool
    ) -> tuple[State, dict[str, Any]]:
        real = ops.cast(images, "float32") / 127.5 - 1.0
        statistics: dict[str, Tensors] = {}

        def fakes(weights: Tensors) -> Any:
            images, statistics["generator"] = generate(weights, state.generator_statistics, latents, labels)
            return images

        def logits(weights: Tensors, fake: Any) -> tuple[Any, Any]:
            # Separate calls: batch statistics of real and fake images must not mix (DCGAN, section 4).
            on_real, between = judge(weights, state.discriminator_statistics, real, labels)
            on_fake, statistics["discriminator"] = judge(weights, between, fake, labels)
            return on_real, on_fake

        fake, pull_generator = backend.vjp(fakes, state.generator)
        (on_real, on_fake), pull_discriminator = backend.vjp(logits, state.discriminator, fake)
        d_loss, pull_d_loss = backend.vjp(lambda r, f: losses.discriminator_loss(config.loss, r, f), on_real, on_fake)
        g_loss, pull_g_loss = backend.vjp(lambda r, f: losses.generator_loss(config.loss, r, f), on_real, on_fake)
        one = ops.ones(())
        d_gradients, _ = pull_discriminator(pull_d_loss(one))
        _, on_images = pull_discriminator(pull_g_loss(one))
        (g_gradients,) = pull_generator(on_images)

        metrics = {
            "loss/generator": g_loss,
            "loss/discriminator": d_loss,
            "discriminator/pairwise_batch": ops.mean(ops.cast(on_real > on_fake, "float32")),
        }
        if penalise:
            r1, r2, penalty_gradients = _penalties(judge, state, real, fake, labels)
            weight = 0.5 * hyper["gamma"] * config.penalty_interval
            d_gradients = [g + weight * p for g, p in zip(d_gradients, penalty_gradients, strict=True)]
            metrics |= {"penalty/r1": r1, "penalty/r2": r2}

        new_generator, generator_slots = optimizers.update(
            config.optimizer, state.generator, g_gradients, state.generator_slots, hyper
        )
        new_discriminator, discriminator_slots = optimizers.update(
            config.optimizer, state.discriminator, d_gradients, state.discriminator_slots, hyper
        )
        decay = hyper["ema_decay"]
        average = [a * decay + w * (1.0 - decay) for a, w in zip(state.average, new_generator, strict=True)]
        return State(
            generator=new_generator,
            generator_statistics=statistics["generator"],
            generator_slots=generator_slots,
            average=average,
            discriminator=new_discriminator,
            discriminator_statistics=statistics["discriminator"],
            discriminator_slots=discriminator_slots,
        ), metrics

    return backend.jit(step)


def _penalties(
    judge: Callable[..., tuple[Any, Tensors]], state: State, real: Any, fake: Any, labels: Any
) -> tuple[Any, Any, Tensors]:
    """R1, R2 and the gradients of their sum with respect to the discriminator's weights."""
    terms: dict[str, Any] = {}

    def total(weights: Tensors) -> Any:
        def score(images: Any) -> Any:
            return judge(weights, state.discriminator_statistics, images, labels)[0]

        terms["r1"], terms["r2"] = squared_gradient_norm(score, real), squared_gradient_norm(score, fake)
        return terms["r1"] + terms["r2"]

    _, gradients = backend.value_and_grad(total, state.discriminator)
    return terms["r1"], terms["r2"], gradients
