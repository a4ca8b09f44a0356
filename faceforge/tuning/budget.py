"""The budget of a search: thousands of training images, or minutes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from faceforge.errors import FaceForgeError

SEARCH_SHARE = 0.6  # of the budget; the rest repeats the best settings with other seeds

_UNITS: dict[str, tuple[Literal["kimg", "seconds"], float]] = {
    "kimg": ("kimg", 1.0),
    "min": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
}


@dataclass(frozen=True)
class SearchBudget:
    """How much training a search may use.

    Attributes:
        amount: thousands of images or seconds.
        unit: `kimg` or `seconds`: which figure of a trial's result counts.
    """

    amount: float
    unit: Literal["kimg", "seconds"]

    @staticmethod
    def parse(text: str) -> SearchBudget:
        """Reads `200kimg`, `10min` or `2h`.

        Raises:
            FaceForgeError: another format.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(kimg|min|h)\s*", text)
        if match is None or not float(match[1]):
            raise FaceForgeError(f"budget {text!r} is not valid; write it as 10min, 2h or 200kimg")
        unit, factor = _UNITS[match[2]]
        return SearchBudget(float(match[1]) * factor, unit)

    def allows(self, spent: float, cost: float, share: float = 1.0) -> bool:
        """Whether something of this cost fits into a share of the budget after `spent`."""
        return spent + cost <= self.amount * share * (1 + 1e-9)

    def check(self, kimg: float, workers: int = 1) -> None:
        """Checks that the search can train the preset, and a trial per worker.

        Args:
            kimg: length of a trial; 0: unknown.
            workers: machines that share the budget.

        Raises:
            FaceForgeError: it cannot.
        """
        least = (1 + workers) * kimg / SEARCH_SHARE
        if self.unit == "kimg" and self.amount < least * (1 - 1e-9):
            by = f" by {workers} workers" if workers > 1 else ""
            raise FaceForgeError(
                f"a budget of {self.amount:g} kimg is too small for trials of {kimg:g} kimg{by}: give at least "
                f"{least:.4g}kimg, or shorten the trials with --set train.kimg=..."
            )
