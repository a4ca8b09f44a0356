"""A runner of trials with an invented objective in place of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faceforge.config import Config
from faceforge.data.imageset.reader import ImageSet
from faceforge.tuning.result import OBJECTIVE
from faceforge.tuning.trial import Report, TrialRunner

CHECKS, KIMG = 8, 10.0


def distance(config: Config) -> float:
    """How far a learning rate is from the best, 3e-3; the baseline's 5e-4 is far away."""
    return abs(math.log10(config.train.learning_rate / 3e-3))


class InventedRunner(TrialRunner):
    """Trains nothing: eight checks that fall towards the distance of the learning rate from the best one."""

    interrupt_at: int | None = None  # check of the next trial at which the process dies
    fail: Callable[[Config], bool] = staticmethod(lambda config: False)
    started: list[str]

    def _train_and_score(self, config: Config, folder: Path, observer: Any, report: Report | None) -> dict[str, Any]:
        self.started = [*getattr(self, "started", []), folder.name]
        if self.fail(config):
            return {"state": "failed", "reason": "losses diverge"}
        values = []
        for check in range(1, CHECKS + 1):
            if check == self.interrupt_at:
                raise KeyboardInterrupt
            values.append(distance(config) + 1 / check)
            if report is not None and report(check, values[-1]) and check < CHECKS:
                return {"state": "pruned", "kimg": KIMG * check / CHECKS, "checks": values}
        seed_effect = 0.01 * (config.train.seed % 3)
        return {
            "state": "complete",
            "kimg": KIMG,
            "checks": values,
            "metrics": {OBJECTIVE: distance(config) + seed_effect},
        }


def runner(images: ImageSet, folder: Path) -> InventedRunner:
    folder.mkdir(exist_ok=True)
    return InventedRunner(search=images, folder=folder, preset="toy", settings="train.learning_rate=0.0005")
