"""What to search: the preset to start from, the settings to vary, and how much training to spend."""

from __future__ import annotations

from dataclasses import dataclass

from faceforge.config import resolve
from faceforge.errors import FaceForgeError
from faceforge.tuning.budget import SearchBudget
from faceforge.tuning.space import parse_space


@dataclass(frozen=True)
class StudyPlan:
    """What to search.

    Attributes:
        preset: where the search starts.
        settings: settings that are the same in all trials, as `--set` takes them.
        budget: of search and repeats, all machines together.
        space: TOML text; empty: the default space of the preset.
        seeds: how many seeds the best settings are trained with.
        storage: address of a database, or path of a file, to share the study; empty: a file in the search's folder.
    """

    preset: str
    settings: str
    budget: SearchBudget
    space: str = ""
    seeds: int = 3
    storage: str = ""

    @property
    def trial_kimg(self) -> float:
        """Thousands of images of a trial that is not pruned; 0 if the settings give no number."""
        train = resolve(self.preset, self.settings).train
        return 0.0 if train.epochs or train.minutes else train.kimg

    @property
    def seed_list(self) -> range:
        """The search's seed, then those of the repeats."""
        first = resolve(self.preset, self.settings).train.seed
        return range(first, first + self.seeds)


def parse_plan(preset: str, settings: str, budget: str, space: str, seeds: str, storage: str = "") -> StudyPlan:
    """A plan from the texts that parameters of a pipeline are; see `StudyPlan` and `SearchBudget.parse`.

    Raises:
        FaceForgeError: preset, settings, budget, space or seeds are not valid.
    """
    resolve(preset, settings)
    parse_space(space, preset, settings)
    if not seeds.isdecimal() or not int(seeds):
        raise FaceForgeError(f"seeds = {seeds!r} is not valid; give a number, at least 1")
    plan = StudyPlan(preset, settings, SearchBudget.parse(budget), space, int(seeds), storage)
    plan.budget.check(plan.trial_kimg)
    return plan
