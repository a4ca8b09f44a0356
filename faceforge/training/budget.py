"""How long a run is, in images or in minutes, and what changes over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from faceforge.config import TrainConfig
from faceforge.training.schedules import cosine, ema_decay, ramp

ADAPTATION = 0.1  # of the budget: what diffaugment's strength takes from 0 to 1, if it only rises
MOST_AT_ONCE = 16  # steps in one dispatch


@dataclass(frozen=True)
class Budget:
    """How far a run goes.

    Attributes:
        recipe: the training recipe.
        images: training images in the set.
        at_once: whether several steps may be dispatched together.
    """

    recipe: TrainConfig
    images: int
    at_once: bool = True

    @property
    def block(self) -> int:
        """Steps in one dispatch: as many as leave every point, grid and checkpoint its own."""
        if not self.at_once:
            return 1
        if self.recipe.minutes:
            return MOST_AT_ONCE
        marks = max(self.recipe.log_points, self.recipe.grids, self.recipe.checkpoints)
        return min(MOST_AT_ONCE, max(1, self._wanted // marks))

    @property
    def steps(self) -> int:
        """Steps of the whole run, in whole blocks; 0 if time decides."""
        return 0 if self.recipe.minutes else math.ceil(self._wanted / self.block) * self.block

    @property
    def _wanted(self) -> int:
        recipe = self.recipe
        kimg = recipe.epochs * self.images / 1000 if recipe.epochs else recipe.kimg
        return max(1, math.ceil(kimg * 1000 / recipe.batch_size))

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is spent, 0 to 1; a budget of minutes makes it a matter of the machine's speed."""
        spent = seconds / (60 * self.recipe.minutes) if self.recipe.minutes else step / self.steps
        return min(1.0, spent)

    def scalars(self, step: int, seconds: float, gentler: int, pace: float = 0.0) -> dict[str, float]:
        """The scheduled numbers of a step.

        Args:
            step: its number, from 0.
            seconds: of training before it.
            gentler: each halves the learning rate and doubles the penalty.
            pace: seconds that a step takes; in a budget of minutes diffaugment's strength moves by it.
        """
        recipe, progress = self.recipe, self.progress(step, seconds)
        rate, seen = recipe.learning_rate / 2**gentler, step * recipe.batch_size
        penalise = recipe.gamma > 0 and step % recipe.penalty_interval == 0
        share = pace / (60 * recipe.minutes) if recipe.minutes else 1 / self.steps
        return {
            "learning_rate": cosine(rate, rate / 10, progress) if recipe.lr_decay else rate,
            "gamma": cosine(recipe.gamma, recipe.gamma_final, progress) * 2**gentler,
            "beta1": recipe.beta1,
            "beta2": cosine(recipe.beta2, recipe.beta2_final or recipe.beta2, progress),
            "time": float(step + 1),
            "ema_decay": ema_decay(recipe.ema_kimg * 1000, seen, recipe.batch_size),
            "label_weight": ramp(progress, recipe.label_ramp),
            "adapt_rate": share / ADAPTATION,
            "penalise": float(penalise),
        }


class Marks:
    """Says when a thing that happens `count` times over the budget is due; the last time is its end."""

    def __init__(self, count: int, progress: float) -> None:
        self._count, self._next = count, math.floor(progress * count + 1e-9) + 1

    def due(self, progress: float) -> bool:
        """Whether a mark was passed since the last call."""
        if progress * self._count + 1e-9 < self._next:
            return False
        self._next = math.floor(progress * self._count + 1e-9) + 1
        return True
