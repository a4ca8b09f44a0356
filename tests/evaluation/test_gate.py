"""The gate's truth table, row by row (docs/evaluation.md shows the same rows)."""

import math
import re

import pytest

from faceforge.config import EvaluateConfig
from faceforge.evaluation.gate import decide

CONFIG = EvaluateConfig.model_validate({"min_label_agreement": 0.5, "min_recall": 0.1, "min_improvement": 0.02})
SOUND = {
    "domain/frechet": 10.0,
    "domain/recall": 0.5,
    "domain/label_agreement": 0.9,
    "domain/real_label_accuracy": 0.98,
}
UNLABELLED = {"domain/frechet": 10.0, "domain/recall": 0.5}


def but(base: dict[str, float], **changes: float) -> dict[str, float]:
    return base | {f"domain/{name}": value for name, value in changes.items()}


def without(base: dict[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in base.items() if key != f"domain/{name}"}


ROWS = {
    # The candidate on its own.
    "first sound model": (SOUND, None, "promote", "no champion yet"),
    "first sound model, unlabelled": (UNLABELLED, None, "promote", "no champion yet"),
    "frechet is NaN": (but(SOUND, frechet=math.nan), None, "reject", "not a finite"),
    "frechet is infinite": (but(SOUND, frechet=math.inf), None, "reject", "not a finite"),
    "recall is NaN": (but(SOUND, recall=math.nan), None, "reject", "not a finite"),
    "agreement is NaN": (but(SOUND, label_agreement=math.nan), None, "reject", "not a finite"),
    "real accuracy is NaN": (but(SOUND, real_label_accuracy=math.nan), None, "reject", "not a finite"),
    "no metrics at all": ({}, None, "hold", "missing"),
    "frechet is missing": (without(SOUND, "frechet"), None, "hold", "domain/frechet.*missing"),
    "recall is missing": (without(SOUND, "recall"), None, "hold", "domain/recall.*missing"),
    "agreement is missing": (without(SOUND, "label_agreement"), None, "hold", "label_agreement.*missing"),
    "agreement is too low": (but(SOUND, label_agreement=0.48), None, "reject", "min_label_agreement"),
    "agreement is just enough": (but(SOUND, label_agreement=0.49), None, "promote", ""),
    "recall is too low": (but(SOUND, recall=0.09), None, "reject", "min_recall"),
    # Against a champion.
    "better": (but(SOUND, frechet=9.0), SOUND, "promote", "10.0% better"),
    "better, unlabelled": (but(UNLABELLED, frechet=9.0), UNLABELLED, "promote", "10.0% better"),
    "better, but barely": (but(SOUND, frechet=9.9), SOUND, "hold", "min_improvement"),
    "equal": (SOUND, SOUND, "hold", "not better"),
    "worse": (but(SOUND, frechet=11.0), SOUND, "hold", "not better"),
    "better but agreement fell": (but(SOUND, frechet=5.0, label_agreement=0.8), SOUND, "hold", "fell from"),
    "better but below thresholds": (but(SOUND, frechet=5.0, recall=0.0), SOUND, "reject", "min_recall"),
    "NaN against a champion": (but(SOUND, frechet=math.nan), SOUND, "reject", "not a finite"),
    "unlabelled against a labelled champion": (but(UNLABELLED, frechet=5.0), SOUND, "hold", "missing"),
    "labelled against an unlabelled champion": (but(SOUND, frechet=9.0), UNLABELLED, "promote", "better"),
    "champion's frechet is NaN": (SOUND, but(SOUND, frechet=math.nan), "hold", "champion is missing or not"),
    "champion's frechet is missing": (SOUND, without(SOUND, "frechet"), "hold", "champion is missing or not"),
    "champion's agreement is NaN": (
        but(SOUND, frechet=5),
        but(SOUND, label_agreement=math.nan),
        "hold",
        "not a finite",
    ),
    "champion is perfect": (SOUND, but(SOUND, frechet=0.0), "hold", "not better"),
}


@pytest.mark.parametrize("row", ROWS)
def test_truth_table(row: str) -> None:
    candidate, champion, verdict, reason = ROWS[row]
    decision = decide(candidate, champion, same_data=True, config=CONFIG)
    assert decision.verdict == verdict
    assert len(decision.reasons) >= 1
    assert re.search(reason, " ".join(decision.reasons))


def test_champion_that_cannot_be_judged_holds_even_a_splendid_candidate() -> None:
    decision = decide(but(SOUND, frechet=0.1), None, same_data=True, champion_error="bundle is damaged", config=CONFIG)
    assert decision.verdict == "hold"
    assert "bundle is damaged" in decision.reasons[0]


def test_a_bad_candidate_is_rejected_even_when_the_champion_cannot_be_judged() -> None:
    decision = decide(but(SOUND, recall=0), None, same_data=True, champion_error="bundle is damaged", config=CONFIG)
    assert decision.verdict == "reject"


def test_other_data_never_promotes() -> None:
    assert decide(but(SOUND, frechet=0.1), SOUND, same_data=False, config=CONFIG).verdict == "hold"


def test_equal_is_held_even_when_no_improvement_is_asked_for() -> None:
    lenient = EvaluateConfig.model_validate({"min_improvement": 0})
    assert decide(SOUND, SOUND, same_data=True, config=lenient).verdict == "hold"
    assert decide(but(SOUND, frechet=9.999), SOUND, same_data=True, config=lenient).verdict == "promote"


def test_every_failed_threshold_is_named() -> None:
    decision = decide(but(SOUND, recall=0, label_agreement=0), None, same_data=True, config=CONFIG)
    assert decision.verdict == "reject"
    assert len(decision.reasons) == 2
