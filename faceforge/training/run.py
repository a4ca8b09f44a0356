"""The state of a training run in memory, and the few things one can do with it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from faceforge.compute import backend
from faceforge.compute.determinism import be_deterministic
from faceforge.compute.precision import choose_precision
from faceforge.config import TrainConfig
from faceforge.data.sheet import image_grid
from faceforge.models.build import build_networks
from faceforge.models.bundle import to_uint8
from faceforge.models.sampling import draw_latents, label_combinations
from faceforge.models.spec import BATCH_NORM_MOMENTUM, ModelSpec
from faceforge.training.batches import Batches
from faceforge.training.checkpoint import Checkpoint
from faceforge.training.feed import Feed
from faceforge.training.schedules import cosine, ema_decay
from faceforge.training.step import State, initial_state, make_step

GRID_COLUMNS, GRID_ROWS = 12, 12
CALIBRATION_BATCHES, CALIBRATION_SIZE = 8, 128


class Run:
    """Networks, state and data of a run that takes `steps` steps.

    Attributes:
        done: steps taken.
        seconds: spent on them, over all attempts; the caller counts.
        precision: the dtype policy that was chosen.
    """

    def __init__(
        self,
        spec: ModelSpec,
        recipe: TrainConfig,
        labels: dict[str, list[str]],
        steps: int,
        feed: Feed,
    ) -> None:
        be_deterministic()
        self.spec, self.recipe, self.steps = spec, recipe, steps
        self.precision = choose_precision(recipe.precision)
        self._generator, self._discriminator = build_networks(spec, recipe.seed, self.precision)
        self._state = initial_state(self._generator, self._discriminator, recipe.optimizer)
        self._step = make_step(self._generator, self._discriminator, recipe)
        self._batches = Batches(len(feed.codes), recipe.batch_size, spec.latent_size, recipe.seed)
        self._feed = feed
        combinations = label_combinations(labels)
        rows = GRID_ROWS if not labels else min(len(combinations), GRID_ROWS)
        self._grid_labels = np.repeat(combinations[np.arange(rows) % len(combinations)], GRID_COLUMNS, axis=0)
        # The same latents in every row, so that a column shows what the label alone changes.
        latents = draw_latents(recipe.seed, GRID_COLUMNS * rows, spec.latent_size)
        self._grid_latents = np.tile(latents[:GRID_COLUMNS], (rows, 1)) if labels else latents
        self._sample = backend.jit(self._sample_average)
        self._gather = backend.jit(self._moments)
        self.done, self.seconds = 0, 0.0

    @property
    def images_seen(self) -> int:
        """Real images shown to the discriminator so far."""
        return self.done * self.recipe.batch_size

    def step(self) -> dict[str, Any]:
        """One step; metrics as unread tensors."""
        images, codes = self._feed.batch(self.done)
        penalise = self.recipe.gamma > 0 and self.done % self.recipe.penalty_interval == 0
        self._state, metrics = self._step(
            self._state,
            ops.convert_to_tensor(images),
            ops.convert_to_tensor(codes),
            ops.convert_to_tensor(self._batches.latents(self.done)),
            {name: ops.convert_to_tensor(np.float32(value)) for name, value in self.hyper().items()},
            penalise,
        )
        self.done += 1
        return metrics

    def hyper(self) -> dict[str, float]:
        """The scheduled scalars of the next step."""
        recipe, progress = self.recipe, self.done / self.steps
        rate = recipe.learning_rate
        return {
            "learning_rate": cosine(rate, rate / 10, progress) if recipe.lr_decay else rate,
            "gamma": cosine(recipe.gamma, recipe.gamma_final, progress),
            "beta1": recipe.beta1,
            "beta2": recipe.beta2,
            "time": float(self.done + 1),
            "ema_decay": ema_decay(recipe.ema_kimg * 1000, self.images_seen, recipe.batch_size),
        }

    def grid(self) -> NDArray[np.uint8]:
        """Samples of the averaged generator at fixed latents and labels, uint8 (H, W, C)."""
        samples = self._sample(
            self._state.average,
            self._average_statistics(),
            ops.convert_to_tensor(self._grid_latents),
            ops.convert_to_tensor(self._grid_labels),
        )
        return image_grid(to_uint8(np.asarray(samples)), GRID_COLUMNS)

    def checkpoint(self) -> Checkpoint:
        """The present state, to be saved."""
        return Checkpoint(self.done, self.seconds, [np.asarray(array) for array in tree.flatten(self._state)])

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back, or forward, to a saved state."""
        self._state = tree.pack_sequence_as(self._state, [ops.convert_to_tensor(a) for a in checkpoint.arrays])
        self.done, self.seconds = checkpoint.step, checkpoint.seconds

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Both networks in float32, the generator with its averaged weights."""
        generator, discriminator = build_networks(self.spec)
        state: State = self._state
        for variables, values in (
            (generator.trainable_variables, state.average),
            (generator.non_trainable_variables, self._average_statistics()),
            (discriminator.trainable_variables, state.discriminator),
            (discriminator.non_trainable_variables, state.discriminator_statistics),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return generator, discriminator

    def summary(self) -> dict[str, Any]:
        """What the bundle says about its training."""
        return {
            "images_seen": self.images_seen,
            "steps": self.done,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.images_seen / self.seconds, 1) if self.seconds else 0.0,
            "training_images": len(self._feed.codes),
            "seconds_waited_for_images": round(self._feed.waited, 1),
            "precision": self.precision,
        }

    def _average_statistics(self) -> list[Any]:
        """Batch-norm moments of the averaged weights: those gathered in training belong to other weights.

        Each call in training mode leaves `momentum` of the old moments; from zero, and divided by what the zeros
        weigh in the end, they become a mean over batches (Kingma & Ba's bias correction).
        """
        moments = [ops.zeros_like(moment) for moment in self._state.generator_statistics]
        if not moments:
            return moments
        for number in range(CALIBRATION_BATCHES):
            start = number * CALIBRATION_SIZE
            latents = draw_latents(self.recipe.seed, CALIBRATION_SIZE, self.spec.latent_size, start)
            codes = self._feed.codes
            labels = codes[np.arange(start, start + CALIBRATION_SIZE) % len(codes)]
            moments = self._gather(
                self._state.average, moments, ops.convert_to_tensor(latents), ops.convert_to_tensor(labels)
            )
        return [moment / (1.0 - BATCH_NORM_MOMENTUM**CALIBRATION_BATCHES) for moment in moments]

    def _moments(self, weights: list[Any], moments: list[Any], latents: Any, labels: Any) -> list[Any]:
        inputs = [latents, labels] if self.spec.classes else latents
        moved: list[Any] = self._generator.stateless_call(weights, moments, inputs, training=True)[1]
        return moved

    def _sample_average(self, weights: list[Any], statistics: list[Any], latents: Any, labels: Any) -> Any:
        inputs = [latents, labels] if self.spec.classes else latents
        return self._generator.stateless_call(weights, statistics, inputs, training=False)[0]
