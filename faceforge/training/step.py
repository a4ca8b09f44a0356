"""One training step: a pure function from a state and a batch to the next state and its metrics.

The generator runs once a step and the discriminator once over its images: both updates learn from the same fakes and
the same logits, where alternating updates pass the fakes through the discriminator twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.compute import backend
from faceforge.config import TrainConfig
from faceforge.training import diffaugment, losses, optimizers, spectral
from faceforge.training.penalties import gradient_norm_gap, squared_gradient_norm

Tensors = list[Any]

DIVERGED = 1e4  # losses beyond are no accident; those of runs that learn stay below a hundred

# Metrics of every step, float32 scalars; penalties are 0 in steps without them, `penalised` counts the others. A step
# that is skipped has `skipped` 1 and all others 0.
METRICS = (
    "loss/generator",
    "loss/discriminator",
    "discriminator/pairwise_batch",
    "gradient/generator",
    "gradient/discriminator",
    "samples/variety",
    "diffaugment/strength",
    "penalty/r1",
    "penalty/r2",
    "penalised",
    "skipped",
)
ACCURACIES = ("discriminator/accuracy_real_batch", "discriminator/accuracy_fake_batch")


class State(NamedTuple):
    """Everything that training changes. Lists follow the order of the networks' Keras variables, all float32."""

    generator: Tensors
    generator_statistics: Tensors  # non-trainable: batch-norm moments
    generator_slots: list[Tensors]
    average: Tensors  # moving average of `generator`
    discriminator: Tensors
    discriminator_statistics: Tensors
    discriminator_slots: list[Tensors]
    vectors: Tensors  # of spectral normalisation; none without
    strength: Any  # of diffaugment where it adapts


def metric_names(config: TrainConfig) -> tuple[str, ...]:
    """What a step tells; the sign of a logit means something only to losses that have a threshold."""
    return METRICS + (ACCURACIES if config.loss in ("bce", "hinge") else ())


def initial_state(generator: keras.Model, discriminator: keras.Model, config: TrainConfig) -> State:
    """The state of freshly built networks."""

    def copy(variables: list[Any]) -> Tensors:
        return [ops.convert_to_tensor(ops.copy(variable.value)) for variable in variables]

    def zeros(variables: list[Any]) -> list[Tensors]:
        return [[ops.zeros(v.shape, "float32") for v in variables] for _ in range(optimizers.slots(config.optimizer))]

    weights = copy(discriminator.trainable_variables)
    return State(
        generator=copy(generator.trainable_variables),
        generator_statistics=copy(generator.non_trainable_variables),
        generator_slots=zeros(generator.trainable_variables),
        average=copy(generator.trainable_variables),
        discriminator=weights,
        discriminator_statistics=copy(discriminator.non_trainable_variables),
        discriminator_slots=zeros(discriminator.trainable_variables),
        vectors=spectral.initial_vectors(weights, config.seed) if config.spectral_norm else [],
        strength=ops.zeros(()),
    )


def make_step(
    generator: keras.Model, discriminator: keras.Model, config: TrainConfig, replicas: int = 1
) -> Callable[[State, dict[str, Any]], tuple[State, dict[str, Any]]]:
    """The step of two networks from `models.build.build_networks`, to be compiled.

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
    changes = tuple(kind for kind in config.diffaugment if kind != "noise")
    noisy = "noise" in config.diffaugment

    def inputs(network: keras.Model, *given: Any) -> Any:
        """What the network takes of what there is: labels, their weights and levels are used by some only."""
        return list(given)[: len(network.inputs)] if len(network.inputs) > 1 else given[0]

    def conditions(batch: dict[str, Any]) -> list[Any]:
        """Labels and how much they count: fewer at first (Shahbazi et al., 2022), some never (Ho & Salimans, 2022)."""
        if not batch["labels"].shape[1]:
            return []
        if not (config.label_dropout or config.label_ramp):
            return [batch["labels"]]
        seen = ops.cast(batch["uniforms"][:, :1] >= config.label_dropout, "float32")
        return [batch["labels"], seen * batch["label_weight"]]

    def prepare(images: Any, batch: dict[str, Any], strength: Any, side: int) -> tuple[Any, Any]:
        """What the discriminator gets to see of images, and their noise levels; `side` 0 = real, 1 = fake."""
        levels = ops.zeros((images.shape[0], 1), "int32")
        draws = batch["uniforms"][:, 2 + side * diffaugment.DRAWS :][:, : diffaugment.DRAWS]
        if changes:
            images = diffaugment.change(images, draws, strength, changes)
        if noisy:
            noise = backend.normal(images.shape, batch["seeds"][0] + side)
            # Real and fake at the same level: a relativistic pair is compared.
            same = batch["uniforms"][:, 2:][:, : diffaugment.DRAWS]
            images, levels = diffaugment.diffuse(images, same, noise, strength)
        return images, levels

    def judge(weights: Tensors, statistics: Tensors, images: Any, given: list[Any]) -> tuple[Any, Tensors]:
        return discriminator.stateless_call(weights, statistics, inputs(discriminator, images, *given), training=True)

    @backend.fuse
    def update(
        for_generator: tuple[Tensors, Tensors, list[Tensors]],
        for_discriminator: tuple[Tensors, Tensors, list[Tensors]],
        average: Tensors,
        hyper: dict[str, Any],
    ) -> tuple[Tensors, list[Tensors], Tensors, Tensors, list[Tensors]]:
        """Both optimizers and the moving average."""
        generator, generator_slots = optimizers.update(config.optimizer, *for_generator, hyper)
        discriminator, discriminator_slots = optimizers.update(config.optimizer, *for_discriminator, hyper)
        decay = hyper["ema_decay"]
        average = [a * decay + w * (1.0 - decay) for a, w in zip(average, generator, strict=True)]
        return generator, generator_slots, average, discriminator, discriminator_slots

    def step(state: State, batch: dict[str, Any]) -> tuple[State, dict[str, Any]]:
        real = ops.cast(batch["images"], "float32") / 127.5 - 1.0
        given = conditions(batch)
        strength = state.strength if config.diffaugment_target else ops.convert_to_tensor(config.diffaugment_strength)

        def kernels(weights: Tensors) -> tuple[Tensors, Tensors]:
            return spectral.normalise(weights, state.vectors) if config.spectral_norm else (weights, state.vectors)

        def fakes(weights: Tensors) -> tuple[Any, Tensors]:
            return generator.stateless_call(
                weights, state.generator_statistics, inputs(generator, batch["latents"], *given), training=True
            )

        def logits(weights: Tensors, fake: Any) -> tuple[tuple[Any, Any], Any]:
            weights, vectors = kernels(weights)
            (on, at), (on_fake, at_fake) = prepare(real, batch, strength, 0), prepare(fake, batch, strength, 1)
            # Separate calls: batch statistics of real and fake images must not mix (DCGAN, section 4).
            real_logits, between = judge(weights, state.discriminator_statistics, on, [*given, at])
            fake_logits, statistics = judge(weights, between, on_fake, [*given, at_fake])
            return (real_logits, fake_logits), (statistics, vectors, (on, at), (on_fake, at_fake))

        def penalties(weights: Tensors, seen: Any, seen_fake: Any) -> tuple[Any, tuple[Any, Any]]:
            weights, _ = kernels(weights)

            def score(images: Any, levels: Any) -> Any:
                return judge(weights, state.discriminator_statistics, images, [*given, levels])[0]

            on_real, on_fake = (lambda x: score(x, seen[1])), (lambda x: score(x, seen_fake[1]))
            if config.penalty == "interpolates":
                gap = gradient_norm_gap(on_real, seen[0], seen_fake[0], batch["uniforms"][:, 1:2])
                return gap, (gap, ops.zeros(()))
            r1 = squared_gradient_norm(on_real, seen[0])
            r2 = squared_gradient_norm(on_fake, seen_fake[0]) if config.penalty == "r1+r2" else ops.zeros(())
            return 0.5 * (r1 + r2), (r1, r2)

        fake, pull_generator, generator_statistics = backend.vjp(fakes, state.generator, has_aux=True)
        (on_real, on_fake), pull_discriminator, (discriminator_statistics, vectors, seen, seen_fake) = backend.vjp(
            logits, state.discriminator, fake, has_aux=True
        )
        d_loss, pull_d_loss = backend.vjp(
            lambda r, f: losses.discriminator_loss(config.loss, r, f, config.label_smoothing), on_real, on_fake
        )
        g_loss, pull_g_loss = backend.vjp(lambda r, f: losses.generator_loss(config.loss, r, f), on_real, on_fake)
        one = ops.ones(())
        d_gradients, _ = pull_discriminator(pull_d_loss(one))
        _, on_images = pull_discriminator(pull_g_loss(one))
        (g_gradients,) = pull_generator(on_images)

        def with_penalties() -> tuple[Tensors, Any, Any]:
            _, pull, (r1, r2) = backend.vjp(
                lambda weights: penalties(weights, seen, seen_fake), state.discriminator, has_aux=True
            )
            (slopes,) = pull(one)
            weight = batch["gamma"] * config.penalty_interval
            return [g + weight * p for g, p in zip(d_gradients, slopes, strict=True)], r1, r2

        d_gradients, r1, r2 = (
            ops.cond(batch["penalise"] > 0, with_penalties, lambda: (d_gradients, ops.zeros(()), ops.zeros(())))
            if config.gamma > 0
            else (d_gradients, ops.zeros(()), ops.zeros(()))
        )
        signal = diffaugment.overfitting(on_real, on_fake)
        metrics = {
            "loss/generator": g_loss,
            "loss/discriminator": d_loss,
            "discriminator/pairwise_batch": ops.mean(ops.cast(on_real > on_fake, "float32")),
            "samples/variety": ops.mean(ops.var(fake, axis=0)) / (ops.mean(ops.var(real, axis=0)) + 1e-6),
            "penalty/r1": r1,
            "penalty/r2": r2,
        }
        right = (ops.mean(ops.cast(logits > 0, "float32")) for logits in (on_real, -on_fake))
        metrics |= {name: share for name, share in zip(ACCURACIES, right, strict=True) if name in metric_names(config)}
        if replicas > 1:
            g_gradients, d_gradients, generator_statistics, discriminator_statistics, metrics, signal = (
                backend.mean_over_replicas(
                    (g_gradients, d_gradients, generator_statistics, discriminator_statistics, metrics, signal)
                )
            )
        metrics |= {"gradient/generator": _norm(g_gradients), "gradient/discriminator": _norm(d_gradients)}
        # Losses that grow without end stay finite for long; the comparison is false for what is not a number too.
        small = ops.abs(metrics["loss/generator"]) + ops.abs(metrics["loss/discriminator"]) < DIVERGED
        sound = ops.logical_and(small, ops.isfinite(sum(metrics[name] for name in _NORMS)))

        def moved() -> State:
            generator_after, generator_slots, average, discriminator_after, discriminator_slots = update(
                (state.generator, g_gradients, state.generator_slots),
                (state.discriminator, d_gradients, state.discriminator_slots),
                state.average,
                {name: batch[name] for name in ("learning_rate", "beta1", "beta2", "time", "ema_decay")},
            )
            return State(
                generator=generator_after,
                generator_statistics=generator_statistics,
                generator_slots=generator_slots,
                average=average,
                discriminator=discriminator_after,
                discriminator_statistics=discriminator_statistics,
                discriminator_slots=discriminator_slots,
                vectors=vectors,
                strength=diffaugment.adapt(state.strength, signal, config.diffaugment_target, batch["adapt_rate"])
                if config.diffaugment_target
                else state.strength,
            )

        # What is not a number would spoil the weights for good: such a step changes nothing.
        after = ops.cond(sound, moved, lambda: state)
        used = ops.cast(batch["penalise"], "float32") if config.gamma > 0 else ops.zeros(())
        metrics |= {"diffaugment/strength": strength, "penalised": used}
        counted = {name: ops.where(sound, value, 0.0) for name, value in metrics.items()}
        return after, counted | {"skipped": 1.0 - ops.cast(sound, "float32")}

    return step


_NORMS = ("gradient/generator", "gradient/discriminator")


def _norm(gradients: Tensors) -> Any:
    """The length of all gradients taken together."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
