"""Everything a search found: its trials, the repeated best settings, and the line to paste."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from faceforge.tuning.finalists import Finalist
from faceforge.tuning.result import OBJECTIVE, TrialResult
from faceforge.tuning.space import SearchSpace, settings_text


class StudyOutcome(BaseModel):
    """Everything a search found, as `study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    settings: str
    dataset_digest: str
    space: SearchSpace
    images: dict[str, int]
    trials: list[TrialResult]
    finalists: list[Finalist]

    @property
    def best(self) -> Finalist:
        """The settings with the best mean on the validation split."""
        return self.finalists[0]

    @property
    def baseline(self) -> Finalist:
        """The preset without changes."""
        return next(finalist for finalist in self.finalists if not finalist.settings)

    @property
    def line(self) -> str:
        """The settings to paste after `--set`, including those that all trials shared; empty = none."""
        return ", ".join(filter(None, (self.settings, settings_text(self.best.settings))))

    def summary(self) -> str:
        """The best settings beside the preset, for a terminal."""
        lines = []
        for name, finalist in {"preset": self.baseline, "best settings": self.best}.items():
            mean, spread = finalist.summary(OBJECTIVE, on_holdout=True) or (float("nan"), 0.0)
            seeds = f"{len(finalist.trials)} seeds" if len(finalist.trials) > 1 else "one seed"
            lines.append(f"{name:<14} {OBJECTIVE} {mean:.3f} ± {spread:.3f} on the holdout ({seeds})")
        if not self.best.settings:
            return f"{lines[0]}\nno trial was better: keep the preset"
        return "\n".join([*lines, f'--preset {self.preset} --set "{self.line}"'])
