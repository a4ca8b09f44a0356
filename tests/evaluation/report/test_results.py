"""The report survives being written and read, whatever its numbers are."""

import json

import numpy as np
import pytest

from faceforge.evaluation.gate import Decision
from faceforge.evaluation.report.results import Evaluation


def evaluation(**changes: object) -> Evaluation:
    content = {
        "metrics": {"domain/frechet": 9.0, "domain/frechet_floor": 1.5},
        "champion_metrics": {"domain/frechet": 12.25},
        "floor": {"domain/frechet_floor": 1.5},
        "decision": Decision(verdict="promote", reasons=["26.5% better"]),
        "champion_name": "faceforge v3",
        "champion_error": "",
        "classifier": {"accuracy_expression": 0.99, "dimensions": 64.0},
        "counts": {"samples": 200, "compared": 150, "holdout": 150, "train": 900},
        "seeds": {"samples": 0},
        "data": {"source": "toyfaces"},
    }
    return Evaluation.model_validate(content | changes)


def test_summary_shows_candidate_champion_and_floor_on_one_line() -> None:
    lines = evaluation().summary().splitlines()
    assert lines[0] == "decision: PROMOTE"
    assert "26.5% better" in lines[1]
    row = next(line for line in lines if line.startswith("domain/frechet"))
    assert row.split()[1:] == ["9", "12.25", "1.5"]
    assert any("faceforge v3" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_numbers_that_are_not_finite_survive_as_strict_json() -> None:
    text = evaluation(metrics={"domain/frechet": float("nan"), "domain/recall": float("inf")}).model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = Evaluation.model_validate_json(text).metrics
    assert np.isnan(again["domain/frechet"])
    assert again["domain/recall"] == np.inf
