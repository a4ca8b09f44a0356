"""A training run in memory: take steps, sample, score, roll back, save and restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

from faceforge.compute import backend
from faceforge.compute.precision import choose_precision, use_xla
from faceforge.config import TrainConfig
from faceforge.data.pixels import Pixels
from faceforge.errors import FaceForgeError
from faceforge.models.build import build_networks, plain_networks
from faceforge.models.bundle import Bundle
from faceforge.models.flops import macs, step_flops
from faceforge.models.privacy import PrivacyStatement
from faceforge.models.sampling import draw_latents
from faceforge.models.spec import ModelSpec
from faceforge.models.transfer import transfer
from faceforge.training import diffaugment
from faceforge.training.batches import Batches
from faceforge.training.budget import Budget
from faceforge.training.checkpoint import Checkpoint
from faceforge.training.feed import Feed
from faceforge.training.gradients import shares_pass
from faceforge.training.outputs import Outputs
from faceforge.training.private_feed import PoissonFeed
from faceforge.training.state import State, initial_state, metric_names
from faceforge.training.step import make_step

MOST_ROLLBACKS = 3
# Checks are noisy, and this distance of pixels still ranks networks differently from a classifier's features when it is
# 12 % larger. So the newest networks count as the best unless earlier ones scored better by more than this share, as
# they do after a collapse.
TOLERANCE = 0.25


class Run:
    """Networks, state and data of a run.

    Attributes:
        budget: length of the run.
        done: steps taken.
        seconds: training time over all attempts; kept up to date by the caller.
        idle: holdout checks since the best score so far.
        transferred: one line about the weights taken from `init_from`; empty without it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        recipe: TrainConfig,
        labels: dict[str, list[str]],
        feed: Feed,
        replicas: backend.Replicas,
        init_from: Path | None = None,
    ) -> None:
        if not backend.accelerators():
            backend.be_deterministic()
        if recipe.dp_epsilon and replicas.count > 1:
            raise FaceForgeError(
                f"train.dp_epsilon trains on one device, and there are {replicas.count}; show it one of them only,"
                " as with CUDA_VISIBLE_DEVICES=0"
            )
        if recipe.batch_size % replicas.count:
            raise FaceForgeError(
                f"train.batch_size = {recipe.batch_size} cannot be shared by {replicas.count} devices; "
                f"make it a multiple of {replicas.count}"
            )
        self.spec, self.recipe, self.precision = spec, recipe, choose_precision(recipe.precision)
        self.budget = Budget(recipe, len(feed.codes), replicas.loops)
        self._feed, self._replicas = feed, replicas
        self._private = feed if isinstance(feed, PoissonFeed) else None
        rows = self._private.plan.capacity if self._private else recipe.batch_size
        self._batches = Batches(len(feed.codes), rows, spec.latent_size, recipe.seed)
        self._generator, self._discriminator = build_networks(
            spec,
            recipe.seed,
            self.precision,
            weighted=bool(spec.classes) and (recipe.label_dropout > 0 or recipe.label_ramp > 0),
            levels=diffaugment.LEVELS if "noise" in recipe.diffaugment else 0,
        )
        self.transferred = ""
        if init_from is not None:
            transferred = transfer(Bundle.load(init_from), labels, self._generator, self._discriminator)
            self.transferred = transferred.summary()
        self._generator = backend.accelerate(self._generator)
        if not recipe.dp_epsilon:  # gradients of each image are computed from stock layers
            self._discriminator = backend.accelerate(self._discriminator)
        self._state = replicas.replicate(initial_state(self._generator, self._discriminator, recipe))
        step = make_step(self._generator, self._discriminator, recipe, replicas.count)
        self._dispatch = replicas.compile(_dispatch(step, metric_names(recipe)), use_xla(recipe.xla))
        self._resident = replicas.replicate(feed.resident)
        self._outputs = Outputs(spec, self._generator, self._discriminator, feed.codes, recipe.seed)
        self.done, self.seconds, self.idle = 0, 0.0, 0
        self._gentler = 0
        self._clock: list[tuple[int, float]] = []  # steps done and seconds at the last readings
        self._good = self._state  # the last checkpoint's state, for rollbacks
        self._best: list[NDArray[Any]] = []
        self._best_score = self._record = float("inf")

    @property
    def images_seen(self) -> int:
        """Real images shown to the discriminator so far."""
        return self.done * self.recipe.batch_size

    @property
    def progress(self) -> float:
        """Spent share of the budget, 0 to 1."""
        return self.budget.progress(self.done, self.seconds)

    def advance(self) -> dict[str, Any]:
        """Takes `budget.block` steps in one dispatch; returns the sums of their metrics as tensors, without waiting."""
        numbers = range(self.done, self.done + self.budget.block)
        columns = 2 + 2 * diffaugment.DRAWS
        rows = [
            {
                **self._feed.batch(number),
                "latents": self._batches.latents(number),
                "uniforms": self._batches.uniforms(number, columns),
                "seeds": self._batches.seeds(number),
            }
            for number in numbers
        ]
        pace = self._pace()
        scalars = [self.budget.scalars(number, self.seconds, self._gentler, pace) for number in numbers]
        if self._private:
            scalars = [row | {"noise": self._private.plan.noise} for row in scalars]
        shared = self._replicas.replicate(
            {name: np.array([row[name] for row in scalars], np.float32) for name in scalars[0]}
        )
        steps = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        self._state, totals = self._dispatch(self._state, steps, (self._resident, shared))
        self.done += self.budget.block
        return self._replicas.first(totals)

    def scalars(self) -> dict[str, float]:
        """Scheduled hyperparameters of the next step."""
        return self.budget.scalars(self.done, self.seconds, self._gentler)

    def flops(self) -> float:
        """Floating-point operations of training per image."""
        recipe = self.recipe
        sets = {"r1": 1, "r1+r2": 2, "interpolates": 1}[recipe.penalty] if recipe.gamma else 0
        shared = shares_pass(self._discriminator, recipe)
        return step_flops(macs(self._generator), macs(self._discriminator), sets, recipe.penalty_interval, shared)

    def sample(self, latents: NDArray[np.float32], labels: NDArray[np.int32]) -> Pixels:
        """Samples of the averaged generator, uint8 (N, H, W, C)."""
        return self._outputs.sample(self._replicas.first(self._state), latents, labels)

    def sample_like(self, labels: NDArray[np.int32]) -> Pixels:
        """A sample for each row of labels (N, columns)."""
        return self.sample(draw_latents(self.recipe.seed, len(labels), self.spec.latent_size), labels)

    def logits(self, images: Pixels, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """The discriminator's logits (N,) of images uint8 (N, H, W, C)."""
        return self._outputs.logits(self._replicas.first(self._state), images, labels)

    def note_score(self, score: float) -> None:
        """Keeps the current networks as the best unless earlier ones scored clearly better; smaller is better.

        With differential privacy the last networks are kept, because scores depend on real images.
        """
        if self._private:
            return
        self.idle = 0 if score < self._record else self.idle + 1
        self._record = min(self._record, score)
        if score <= self._record * (1 + TOLERANCE):
            self._best, self._best_score = self._values(), score

    def rollback(self) -> None:
        """Restores the last checkpoint's weights, then halves the learning rate and doubles the penalty.

        Raises:
            FaceForgeError: after three rollbacks.
        """
        self._gentler += 1
        if self._gentler > MOST_ROLLBACKS:
            raise FaceForgeError(
                f"losses diverge after {self.images_seen:,} images, and {MOST_ROLLBACKS} rollbacks with a lower "
                "learning rate did not help; lower train.learning_rate or raise train.gamma, and remove the "
                "checkpoints to start again"
            )
        self._state = self._good

    def checkpoint(self, roll_back_to: bool = True) -> Checkpoint:
        """The current state, to be saved.

        Args:
            roll_back_to: whether later rollbacks restore it. Not so if the clock has decided about this checkpoint: the
                same run must do the same on a slower machine.
        """
        if roll_back_to:
            self._good = self._state
        arrays = [np.asarray(array) for array in tree.flatten(self._replicas.first(self._state))]
        facts = {name: getattr(self, f"_{name}") for name in _FACTS} | {"idle": self.idle}
        if self._private:
            facts["privacy"] = self._private.plan.facts()
        return Checkpoint(self.done, self.seconds, [*arrays, *self._best], facts)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues from a saved state."""
        state = self._replicas.first(self._state)
        count = len(tree.flatten(state))
        arrays, self._best = checkpoint.arrays[:count], checkpoint.arrays[count:]
        self._state = self._good = self._replicas.replicate(tree.pack_sequence_as(state, arrays))
        self.done, self.seconds = checkpoint.step, checkpoint.seconds
        self.idle = checkpoint.facts["idle"]
        for name in _FACTS:
            setattr(self, f"_{name}", checkpoint.facts[name])
        if self._private:
            self._private.plan = self._private.plan.resumed(checkpoint.facts["privacy"])

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Generator (averaged weights) and discriminator of the best check, in float32."""
        variables = [*self._generator.variables, *self._discriminator.variables]
        for variable, value in zip(variables, self._best or self._values(), strict=True):
            variable.assign(value)
        return plain_networks(self.spec, self._generator, self._discriminator)

    def summary(self) -> dict[str, Any]:
        """Facts about the training, for the bundle."""
        return {
            "images_seen": self.images_seen,
            "steps": self.done,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.images_seen / self.seconds, 1) if self.seconds else 0.0,
            "training_images": len(self._feed.codes),
            "seconds_waited_for_images": round(self._feed.waited, 1),
            "precision": self.precision,
            "devices": self._replicas.count,
            "rollbacks": self._gentler,
            "best_score": self._best_score,
        }

    def privacy(self) -> PrivacyStatement | None:
        """What the training has guaranteed so far; None without differential privacy."""
        return self._private.plan.statement(self.done) if self._private else None

    def _pace(self) -> float:
        """Recent seconds per step; 0 before the second dispatch, because the first one includes compilation."""
        if not self._clock or self.seconds > self._clock[-1][1]:
            self._clock = [*self._clock[-2:], (self.done, self.seconds)]
        if len(self._clock) < 3:
            return 0.0
        (first, began), (last, ended) = self._clock[-2:]
        return (ended - began) / (last - first)

    def _values(self) -> list[NDArray[Any]]:
        return self._outputs.values(self._replicas.first(self._state))


_FACTS = ("gentler", "best_score", "record")


def _dispatch(
    step: Callable[..., tuple[State, dict[str, Any]]], metrics: tuple[str, ...]
) -> Callable[..., tuple[State, dict[str, Any]]]:
    """Several steps as one function of the state, the steps' rows, and (resident images, scheduled scalars)."""

    def dispatch(state: State, steps: dict[str, Any], shared: tuple[Any, Any]) -> tuple[State, dict[str, Any]]:
        resident, scalars = shared

        def one(state: State, row: dict[str, Any]) -> tuple[State, dict[str, Any]]:
            return step(state, row | {name: ops.take(values, row["rows"], axis=0) for name, values in resident.items()})

        return backend.fold(one, state, steps | scalars, metrics)

    return dispatch
