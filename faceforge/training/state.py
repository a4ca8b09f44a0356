"""Everything that training changes, as one tuple of arrays, and the metrics that a step returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from faceforge.config import TrainConfig
from faceforge.training import optimizers, spectral

Tensors = list[Any]

# Metrics of every step, float32 scalars. Penalties are 0 in steps without them; `penalised` counts the steps that have
# them. A skipped step has `skipped` 1 and all other metrics 0.
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
    vectors: Tensors  # singular vectors of spectral normalisation; empty without it
    strength: Any  # adaptive diffaugment strength


def metric_names(config: TrainConfig) -> tuple[str, ...]:
    """Names of the metrics a step returns; accuracies only for losses whose logits have a threshold at 0."""
    return METRICS + (ACCURACIES if config.loss in ("bce", "hinge") else ())


def initial_state(generator: keras.Model, discriminator: keras.Model, config: TrainConfig) -> State:
    """The training state of freshly built networks: their weights, zeroed optimizer slots, no average yet."""

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
