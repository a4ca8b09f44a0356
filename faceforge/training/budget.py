"""The length of a run, in images or minutes, and the hyperparameters scheduled over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from faceforge.config import TrainConfig
from faceforge.training.schedules import cosine, ema_decay, ramp

ADAPTATION = 0.1  # share of the budget in which diffaugment's strength can rise from 0 to 1
MAX_BLOCK = 16  # steps per dispatch


@dataclass(frozen=True)
class Budget:
    """The length of a run.

    Attributes:
        recipe: the training recipe.
        images: number of training images.
        folds: whether several steps may run in one dispatch.
    """

    recipe: TrainConfig
    images: int
    folds: bool = True

    @property
    def block(self) -> int:
        """Steps per dispatch, few enough that every point, grid and checkpoint gets a dispatch of its own."""
        if not self.folds:
            return 1
        if self.recipe.minutes:
            return MAX_BLOCK
        marks = max(self.recipe.log_points, self.recipe.grids, self.recipe.checkpoints)
        return min(MAX_BLOCK, max(1, self._requested_steps // marks))

    @property
    def steps(self) -> int:
        """Steps of the whole run, in whole blocks; 0 for a budget in minutes."""
        return 0 if self.recipe.minutes else math.ceil(self._requested_steps / self.block) * self.block

    @property
    def _requested_steps(self) -> int:
        recipe = self.recipe
        kimg = recipe.epochs * self.images / 1000 if recipe.epochs else recipe.kimg
        return max(1, math.ceil(kimg * 1000 / recipe.batch_size))

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget, 0 to 1, that is spent after `step` steps (for a budget in minutes: `seconds`)."""
        spent = seconds / (60 * self.recipe.minutes) if self.recipe.minutes else step / self.steps
        return min(1.0, spent)

    def scalars(self, step: int, seconds: float, gentler: int, pace: float = 0.0) -> dict[str, float]:
        """Hyperparameters and flags of a step.

        Args:
            step: number of the step, from 0.
            seconds: training time before it.
            gentler: number of rollbacks; each halves the learning rate and doubles the penalty.
            pace: seconds per step; sets the speed of diffaugment's adaptation for a budget in minutes.
        """
        recipe, progress = self.recipe, self.progress(step, seconds)
        rate, images_seen = recipe.learning_rate / 2**gentler, step * recipe.batch_size
        penalise = recipe.gamma > 0 and step % recipe.penalty_interval == 0
        share = pace / (60 * recipe.minutes) if recipe.minutes else 1 / self.steps
        return {
            "learning_rate": cosine(rate, rate / 10, progress) if recipe.lr_decay else rate,
            "gamma": cosine(recipe.gamma, recipe.gamma_final, progress) * 2**gentler,
            "beta1": recipe.beta1,
            "beta2": cosine(recipe.beta2, recipe.beta2_final or recipe.beta2, progress),
            "time": float(step + 1),
            "ema_decay": ema_decay(recipe.ema_kimg * 1000, images_seen, recipe.batch_size * recipe.discriminator_steps),
            "label_weight": ramp(progress, recipe.label_ramp),
            "adapt_rate": share / ADAPTATION,
            "penalise": float(penalise),
            "update_generator": float((step + 1) % recipe.discriminator_steps == 0),
        }


class Marks:
    """Decides when something that happens `count` times over the budget is due; the last time is the end."""

    def __init__(self, count: int, progress: float) -> None:
        self._count, self._next = count, math.floor(progress * count + 1e-9) + 1

    def due(self, progress: float) -> bool:
        """Whether a mark was passed since the last call that returned True."""
        if progress * self._count + 1e-9 < self._next:
            return False
        self._next = math.floor(progress * self._count + 1e-9) + 1
        return True
