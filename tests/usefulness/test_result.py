"""When samples are called useful, harmful, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from faceforge.usefulness.methods import BASELINES, MORE_REAL, USES, Method
from faceforge.usefulness.page import render, summary
from faceforge.usefulness.ranking import Ranking
from faceforge.usefulness.result import UsefulnessResult, compared, harmful_methods, useful_methods


def result(auc: dict[str, float], noise: float = 0.002, precision: dict[str, float] | None = None) -> UsefulnessResult:
    """Methods with these AUCs and average precisions (0.5 if not given)."""
    rng = np.random.default_rng(0)
    rankings: dict[Method, Ranking] = {}
    for method in (*BASELINES, *USES, MORE_REAL):
        centre = np.array([auc.get(method.name, 0.8), (precision or {}).get(method.name, 0.5), 0.6])
        values = centre + noise * rng.normal(size=(3, 3))
        rankings[method] = Ranking(values, values[:, None] + noise * rng.normal(size=(3, 50, 3)))
    methods, differences = compared(rankings, dict.fromkeys(rankings, 0.5))
    best = max((m for m in methods if m.name in {b.name for b in BASELINES}), key=lambda m: m.metrics["auc"].value)
    useful = useful_methods(differences)
    return UsefulnessResult(
        column="age",
        name="<60+>",
        counts=dict.fromkeys(
            ("train", "holdout", "samples", "train_of_class", "holdout_of_class", "samples_of_class"), 9
        ),
        seeds=3,
        steps=10,
        methods=methods,
        differences=differences,
        useful=useful,
        harmful=harmful_methods(differences, best.name),
        recommended=useful[0] if useful else best.name,
        gap_closed=0.25,
    )


def test_useful_only_if_every_baseline_is_beaten() -> None:
    beats_all = result({"pretraining": 0.86})
    assert beats_all.useful == ["pretraining"]
    assert "useful: pre-training" in beats_all.verdict
    one_baseline_is_as_good = result({"pretraining": 0.86, "both": 0.86})
    assert one_baseline_is_as_good.useful == []
    assert one_baseline_is_as_good.recommended == "both"
    assert "not shown to be useful" in one_baseline_is_as_good.verdict


def test_a_difference_within_the_interval_is_not_useful() -> None:
    assert result({"pretraining": 0.81}, noise=0.02).useful == []


def test_better_auc_at_the_cost_of_precision_is_not_useful() -> None:
    assert result({"pretraining": 0.86}, precision={"pretraining": 0.4}).useful == []


def test_harmful_uses_are_named() -> None:
    found = result({"filled_up": 0.7})
    assert found.harmful == ["filled_up"]
    everywhere = result(dict.fromkeys(("filled_up", "half_mix", "pretraining"), 0.7))
    assert "harmful in every use" in everywhere.verdict


def test_intervals_of_uses_hold_together() -> None:
    """Three uses: each interval of a difference is one of 98.3 %."""
    found = result({})
    rankings = {m.name: m for m in found.methods}
    assert {d.method for d in found.differences} == {use.name for use in USES}
    assert {d.baseline for d in found.differences} == {baseline.name for baseline in BASELINES}
    narrow = rankings["real"].metrics["auc"]
    wide = found.differences[0].metrics["auc"]
    assert wide.high - wide.low > narrow.high - narrow.low


@pytest.mark.parametrize("auc", [{}, {"pretraining": 0.86}, {"filled_up": 0.7}])
def test_page_and_text_show_every_method_and_the_verdict(auc: dict[str, float]) -> None:
    found = result(auc)
    page, text = render(found), summary(found)
    for method in found.methods:
        assert method.title in page
        assert method.title in text
    assert "&lt;60+&gt;" in page
    assert "<60+>" not in page
    assert text.endswith(found.verdict)
    assert found.flat_metrics()["usefulness/real/auc"] == found.methods[0].metrics["auc"].value
