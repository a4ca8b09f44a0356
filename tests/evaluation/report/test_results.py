"""The report survives being written and read, whatever its numbers are."""

import json

import numpy as np
import pytest

from faceforge.evaluation.gate import Decision
from faceforge.evaluation.report.results import Evaluation
from faceforge.evaluation.report.tables import privacy_table
from faceforge.models.privacy import PrivacyStatement, PrivateSteps


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


STATEMENT = PrivacyStatement(
    epsilon=9.98,
    delta=1e-5,
    accountant="PLD accountant of dp-accounting 0.6.0",
    clip=1.0,
    spent=[PrivateSteps(noise_multiplier=1.74, sampling_rate=0.08, steps=1563)],
)


def test_summary_states_membership_inference_and_differential_privacy() -> None:
    attacks = {
        f"privacy/membership_auc_{attack}{end}": value
        for attack, values in {"pixels": (0.51, 0.47, 0.55), "discriminator": (0.66, 0.62, 0.7)}.items()
        for end, value in zip(("", "_low", "_high"), values, strict=True)
    }
    lines = evaluation(metrics=attacks, privacy=STATEMENT).summary().splitlines()
    text = " ".join(line.strip() for line in lines)
    assert "samples, by pixels 0.51 (0.47 to 0.55), discriminator 0.66 (0.62 to 0.70)" in text
    assert "trained with differential privacy: epsilon 9.98, delta 1e-05 for one training image" in text
    assert max(map(len, lines)) <= 100
    assert "differential" not in evaluation().summary()


def test_the_statement_survives_in_the_report_with_what_it_does_not_cover() -> None:
    again = Evaluation.model_validate_json(evaluation(privacy=STATEMENT).model_dump_json())
    assert again.privacy == STATEMENT
    rows = privacy_table(STATEMENT).rows
    assert ["epsilon", 9.98] in rows
    assert ["spent", "1,563 steps, noise 1.74, sampling rate 0.08"] in rows
    assert sum(row[0] == "not covered" for row in rows) == len(STATEMENT.not_covered) > 3
