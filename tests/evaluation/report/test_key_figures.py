"""The five numbers that a report starts with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from faceforge.evaluation.gate import Decision
from faceforge.evaluation.metrics.comparison import Interval
from faceforge.evaluation.report.key_figures import KeyFigure, key_figures
from faceforge.evaluation.report.results import Evaluation

METRICS = {
    "domain/frechet": 1.0,
    "domain/frechet_floor": 0.25,
    "domain/precision": 0.8,
    "domain/precision_floor": 0.9,
    "domain/recall": 0.6,
    "domain/recall_floor": 0.9,
    "domain/coverage": 0.9,
    "domain/coverage_floor": 1.0,
    "domain/label_agreement": 0.97,
    "domain/real_label_accuracy": 0.99,
    "privacy/copies_pixels": 0.01,
    "privacy/copies_features": 0.02,
    "privacy/copies_limit": 0.025,
}


def shown(
    changed: Mapping[str, float | None] | None = None, champion: dict[str, float] | None = None
) -> dict[str, KeyFigure]:
    every = {name: value for name, value in {**METRICS, **(changed or {})}.items() if value is not None}
    evaluation = Evaluation(
        metrics=every,
        champion_metrics=champion or {},
        floor={},
        differences={"domain/recall": Interval(value=0.02, low=-0.05, high=0.09)} if champion else {},
        decision=Decision(verdict="hold", reasons=["so"]),
        champion_name="",
        champion_error="",
        classifier={},
        counts={},
        seeds={},
        data={},
        settings={"max_frechet_ratio": 20.0, "max_copies": 0.1},
    )
    return {key.metric: key for key in key_figures(evaluation)}


def test_a_good_model_is_green_in_all_five() -> None:
    keys = shown()
    assert list(keys) == [
        "domain/frechet", "domain/precision", "domain/recall", "domain/label_agreement", "privacy/copies_features",
    ]  # fmt: skip
    assert {key.light for key in keys.values()} == {"good"}
    assert keys["domain/frechet"].against_real == "4.0 times that of real images (0.25)"
    assert keys["domain/recall"].value == "60%"
    assert [key.better for key in keys.values()] == ["lower", "higher", "higher", "higher", "lower"]


@pytest.mark.parametrize(
    ("metric", "fair", "poor"),
    [
        ("domain/frechet", 2.0, 5.5),
        ("domain/precision", 0.6, 0.3),
        ("domain/recall", 0.4, 0.1),
        ("domain/label_agreement", 0.8, 0.5),
        ("privacy/copies_features", 0.05, 0.2),
    ],
)
def test_lights_follow_the_limits(metric: str, fair: float, poor: float) -> None:
    assert shown({metric: fair})[metric].light == "fair"
    assert shown({metric: poor})[metric].light == "poor"


def test_what_is_not_a_number_has_no_light() -> None:
    key = shown({"domain/frechet": math.nan})["domain/frechet"]
    assert (key.light, key.value) == ("unknown", "nan")


def test_without_labels_coverage_takes_their_place() -> None:
    keys = shown({"domain/label_agreement": None, "domain/real_label_accuracy": None})
    assert "domain/label_agreement" not in keys
    assert keys["domain/coverage"].light == "good"


def test_the_champion_is_compared_in_words() -> None:
    champion = {"domain/frechet": 1.5, "domain/recall": 0.58, "domain/precision": 0.85, "domain/label_agreement": 0.97}
    keys = shown(champion=champion)
    assert keys["domain/frechet"].against_champion == "better than the champion (1.5)"
    assert keys["domain/recall"].against_champion == "better than the champion (58.0%), which may be chance"
    assert keys["domain/precision"].against_champion == "worse than the champion (85.0%)"
    assert keys["domain/label_agreement"].against_champion == "as the champion (97.0%)"
    assert keys["privacy/copies_features"].against_champion == ""
