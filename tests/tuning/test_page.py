from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from faceforge.tuning.finalists import Finalist
from faceforge.tuning.outcome import StudyOutcome
from faceforge.tuning.page import render, slices
from faceforge.tuning.result import OBJECTIVE, TrialResult
from faceforge.tuning.space import SearchSpace

SPACE = SearchSpace.model_validate(
    {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "train.diffaugment": ["", "flip<b>"]}
)


def trial(number: int, value: float | None, settings: dict[str, object] | None = None) -> TrialResult:
    settings = {"train.learning_rate": number * 1e-3, "train.diffaugment": ""} if settings is None else settings
    metrics = {} if value is None else {OBJECTIVE: value}
    return TrialResult(
        name=f"trial-{number}", settings=settings, seed=0, state="complete" if metrics else "pruned", metrics=metrics
    )


def outcome(*finalists: Finalist, settings: str = "") -> StudyOutcome:
    trials = [trial(0, 4.0, {}), trial(1, 3.0), trial(2, 2.0), trial(3, 2.5), trial(4, None)]
    return StudyOutcome(
        preset="toy",
        settings=settings,
        dataset_digest="",
        space=SPACE,
        images={"train": 1000, "validation": 150, "holdout": 150},
        trials=trials,
        finalists=list(finalists),
    )


def finalist(settings: dict[str, object], *values: float) -> Finalist:
    trials = [trial(9, value, settings) for value in values]
    return Finalist(settings=settings, trials=trials, holdout=[{OBJECTIVE: value + 1} for value in values])


BASELINE = finalist({}, 4.0, 5.0)
BEST = finalist({"train.learning_rate": 0.002, "train.diffaugment": "flip<b>"}, 2.0, 2.2)


def test_the_page_leads_with_settings_to_paste_and_figures_of_the_holdout(tmp_path: Path) -> None:
    page = render(outcome(BEST, BASELINE, settings="train.kimg=5"), tmp_path)
    assert "Best settings" in page
    assert '--set "train.kimg=5, train.learning_rate=0.002, train.diffaugment=flip&lt;b&gt;"' in page  # escaped
    assert "3.100 ± 0.141" in page  # holdout, best
    assert "5.500 ± 0.707" in page  # holdout, preset
    assert "5 trials, of them 1 stopped early" in page


def test_a_preset_that_wins_is_kept(tmp_path: Path) -> None:
    found = outcome(BASELINE, BEST)
    assert found.line == ""
    assert "Keep the preset" in render(found, tmp_path)
    assert found.summary().splitlines()[-1] == "no trial was better: keep the preset"


def test_one_seed_is_called_too_few(tmp_path: Path) -> None:
    page = render(outcome(finalist({"train.learning_rate": 0.002}, 2.0), finalist({}, 4.0)), tmp_path)
    assert "did not allow a second seed" in page
    assert "±" not in page


def test_grids_of_the_finalists_are_shown(tmp_path: Path) -> None:
    (tmp_path / "trials" / "trial-9" / "grids").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "trials" / "trial-9" / "grids" / "000000100.png")
    page = render(outcome(BEST, BASELINE), tmp_path)
    assert page.count("data:image/png;base64,") == 3  # two grids and the plot


def test_the_plot_has_a_point_per_trial_and_setting() -> None:
    trials = [trial(number, float(number)) for number in (1, 2, 3)]
    with Image.open(io.BytesIO(slices(trials, SPACE))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    blue = (np.abs(pixels - [0x1F, 0x5F, 0x99]).sum(axis=2) < 30).sum()
    assert 6 * 20 < blue < 6 * 200  # six dots
