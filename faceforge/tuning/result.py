"""The result of one trial, kept as `result.json` in the trial's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from faceforge.errors import FaceForgeError, explain
from faceforge.evaluation.metrics.comparison import FRECHET
from faceforge.files import atomic_file
from faceforge.tuning.budget import SearchBudget

RESULT_FILE = "result.json"
OBJECTIVE = FRECHET  # on the validation split; smaller is better


class TrialResult(BaseModel):
    """What one configuration came to.

    Attributes:
        name: of the trial and of its folder.
        settings: the settings that differ from the preset and from the fixed ones; empty = the baseline.
        seed: `train.seed`.
        state: `complete`, `pruned` (stopped early, since others did better), or `failed`.
        kimg: thousands of training images used.
        seconds: duration of training and scoring, of the last attempt.
        checks: `holdout/sliced_wasserstein` at each check, on the validation split.
        metrics: metrics on the validation split; empty unless complete.
        reason: why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    settings: dict[str, Any]
    seed: int
    state: Literal["complete", "pruned", "failed"]
    kimg: float = 0.0
    seconds: float = 0.0
    checks: list[float] = []
    metrics: dict[str, float] = {}
    reason: str = ""

    @property
    def value(self) -> float:
        """The objective; infinite unless complete."""
        return self.metrics.get(OBJECTIVE, float("inf"))

    def cost(self, budget: SearchBudget) -> float:
        """The trial's share of the budget, in the budget's unit."""
        return self.kimg if budget.unit == "kimg" else self.seconds

    def write(self, folder: Path) -> None:
        """Writes `result.json` into the trial's folder."""
        with atomic_file(folder / RESULT_FILE) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> TrialResult | None:
        """The result in a trial's folder; None if the trial has not ended.

        Raises:
            FaceForgeError: the file is damaged.
        """
        file = folder / RESULT_FILE
        if not file.is_file():
            return None
        try:
            return TrialResult.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise FaceForgeError(f"{file} is damaged ({explain(error)}); remove {folder} to repeat the trial") from None
