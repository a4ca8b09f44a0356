"""The gate's truth table, row by row (docs/evaluation.md shows the same rows)."""

import math
import re
from typing import Any

import pytest

from faceforge.config import EvaluateConfig
from faceforge.evaluation.diagnostics.class_scores import ClassScores
from faceforge.evaluation.gate import Decision, decide
from faceforge.evaluation.metrics.comparison import Interval

CONFIG = EvaluateConfig.model_validate(
    {"min_label_agreement": 0.5, "min_recall": 0.1, "min_improvement": 0.02, "max_frechet": 20}
)
ORIGINAL = {
    "privacy/copies_pixels": 0.01,
    "privacy/copies_features": 0.02,
    "privacy/copies_limit": 0.03,
    "privacy/near_exact_copies": 1.0,
}
FLOORS = {"domain/frechet_floor": 1.0, "domain/recall_floor": 0.9}
SOUND = {
    **ORIGINAL,
    **FLOORS,
    "domain/frechet": 10.0,
    "domain/recall": 0.5,
    "domain/label_agreement": 0.9,
    "domain/real_label_accuracy": 0.98,
}
UNLABELLED = {"domain/frechet": 10.0, "domain/recall": 0.5, **ORIGINAL, **FLOORS}
SURE = 0.01  # half the width of the intervals, where a row does not say otherwise


def but(base: dict[str, float], **changes: float) -> dict[str, float]:
    return base | {f"domain/{name}": value for name, value in changes.items()}


def without(base: dict[str, float], *names: str) -> dict[str, float]:
    return {key: value for key, value in base.items() if key not in {f"domain/{name}" for name in names}}


def differences(new: dict[str, float], old: dict[str, float], half: float = SURE) -> dict[str, Interval]:
    """What `compare` would say, with intervals of a given width."""
    found = {}
    for name in set(new) & set(old) & {"domain/frechet", "domain/recall", "domain/label_agreement"}:
        value = new[name] - old[name]
        if name == "domain/frechet":
            value = (old[name] - new[name]) / old[name] if old[name] else math.nan
        found[name] = Interval(value=value, low=value - half, high=value + half)
    return found


def decided(new: dict[str, float], old: dict[str, float] | None, **options: Any) -> Decision:
    arguments: dict[str, Any] = {"classes": [], "champion_classes": {}, "own_data": True, "same_data": True}
    arguments |= {"config": CONFIG, "half": SURE}
    arguments |= options
    half = arguments.pop("half")
    return decide(new, old, arguments.pop("differences", differences(new, old or {}, half)), **arguments)


ROWS: dict[str, tuple[dict[str, float], dict[str, float] | None, str, str]] = {
    # 1, 2: the candidate's numbers.
    "frechet is NaN": (but(SOUND, frechet=math.nan), None, "reject", "not a finite"),
    "frechet is infinite": (but(SOUND, frechet=math.inf), None, "reject", "not a finite"),
    "recall is NaN": (but(SOUND, recall=math.nan), None, "reject", "not a finite"),
    "agreement is NaN": (but(SOUND, label_agreement=math.nan), None, "reject", "not a finite"),
    "real accuracy is NaN": (but(SOUND, real_label_accuracy=math.nan), None, "reject", "not a finite"),
    "NaN against a champion": (but(SOUND, frechet=math.nan), SOUND, "reject", "not a finite"),
    "no metrics at all": ({}, None, "hold", "missing"),
    "frechet is missing": (without(SOUND, "frechet"), None, "hold", "domain/frechet.*missing"),
    "recall is missing": (without(SOUND, "recall"), None, "hold", "domain/recall.*missing"),
    "agreement is missing": (without(SOUND, "label_agreement"), None, "hold", "label_agreement.*missing"),
    "unlabelled against a labelled champion": (but(UNLABELLED, frechet=5.0), SOUND, "hold", "missing"),
    # 3: thresholds.
    "frechet is too high": (but(SOUND, frechet=20.1), None, "reject", "max_frechet"),
    "recall is too low": (but(SOUND, recall=0.09), None, "reject", "min_recall"),
    "agreement is too low": (but(SOUND, label_agreement=0.48), None, "reject", "min_label_agreement"),
    "agreement is just enough": (but(SOUND, label_agreement=0.49), None, "promote", ""),
    "better but below a threshold": (but(SOUND, frechet=5.0, recall=0.0), SOUND, "reject", "min_recall"),
    "copies training images": (SOUND | {"privacy/copies_pixels": 0.9}, None, "reject", "copies_pixels.*max_copies"),
    "copies them slightly changed": (SOUND | {"privacy/copies_features": 0.06}, None, "reject", "max_copies"),
    "best of all, by copying": (
        but(SOUND, frechet=0.1, recall=1.0) | {"privacy/copies_pixels": 1.0},
        SOUND,
        "reject",
        "reproduces training images",
    ),
    "copies parts of images": (SOUND | {"privacy/copies_parts": 0.2}, None, "reject", "copies_parts.*max_copies"),
    "a few more blends than chance gives": (
        but(SOUND, frechet=5.0) | {"privacy/copies_blends": 0.04},
        SOUND,
        "hold",
        "copies_blends 0.040 is above 0.030",
    ),
    "copies of parts are NaN": (SOUND | {"privacy/copies_parts": math.nan}, None, "reject", "not a finite"),
    "copies are NaN": (SOUND | {"privacy/copies_pixels": math.nan}, None, "reject", "not a finite"),
    "copies were not looked for": (
        {name: value for name, value in SOUND.items() if name not in ORIGINAL},
        None,
        "hold",
        "copies_pixels.*missing",
    ),
    # Copies that chance does not explain.
    "a few more copies than chance gives": (
        but(SOUND, frechet=5.0) | {"privacy/copies_pixels": 0.04},
        SOUND,
        "hold",
        "copies_pixels 0.040 is above 0.030",
    ),
    "a handful of near-exact copies": (
        but(SOUND, frechet=5.0) | {"privacy/near_exact_copies": 3.0},
        SOUND,
        "hold",
        "3 samples are nearly exact copies",
    ),
    "near-exact copies were not counted": (
        {name: value for name, value in SOUND.items() if name != "privacy/near_exact_copies"},
        None,
        "hold",
        "near_exact_copies.*missing",
    ),
    # No champion.
    "first version, far from real images": (but(SOUND, frechet=19, frechet_floor=0.5), None, "hold", "38 times"),
    "first version, hardly any variety": (but(SOUND, recall=0.12), None, "hold", "min_recall_ratio"),
    "first version, floor unknown": (without(SOUND, "frechet_floor"), None, "hold", "frechet_floor.*missing"),
    "as far from real images, but better than the champion": (
        but(SOUND, frechet=16, frechet_floor=0.5),
        but(SOUND, frechet=19),
        "promote",
        "better",
    ),
    "first sound model": (SOUND, None, "promote", "First version"),
    "first sound model, unlabelled": (UNLABELLED, None, "promote", "First version"),
    # The champion's numbers.
    "champion's frechet is NaN": (SOUND, but(SOUND, frechet=math.nan), "hold", "champion is missing or not"),
    "champion's frechet is missing": (SOUND, without(SOUND, "frechet"), "hold", "champion is missing or not"),
    "champion's recall is NaN": (but(SOUND, frechet=5), but(SOUND, recall=math.nan), "hold", "champion is missing"),
    "champion's agreement is NaN": (
        but(SOUND, frechet=5),
        but(SOUND, label_agreement=math.nan),
        "hold",
        "champion is missing or not",
    ),
    "champion is perfect": (SOUND, but(SOUND, frechet=0.0), "hold", "Not better"),
    # The comparison.
    "equal": (SOUND, SOUND, "hold", "Not better"),
    "worse": (but(SOUND, frechet=11.0), SOUND, "hold", "Not better"),
    "better, perhaps by chance": (but(SOUND, frechet=9.95), SOUND, "hold", "may be chance"),
    "surely better, but not surely by enough": (but(SOUND, frechet=9.75), SOUND, "hold", "min_improvement"),
    "better, but agreement may have fallen": (
        but(SOUND, frechet=5.0, label_agreement=0.85),
        SOUND,
        "hold",
        "max_agreement_drop",
    ),
    "better, but variety may have fallen": (but(SOUND, frechet=5.0, recall=0.4), SOUND, "hold", "max_recall_drop"),
    "better, with a little less agreement": (but(SOUND, frechet=9.0, label_agreement=0.87), SOUND, "promote", ""),
    "better": (but(SOUND, frechet=9.0), SOUND, "promote", r"10.0% better \(9.0% to 11.0%\)"),
    "better, unlabelled": (but(UNLABELLED, frechet=9.0), UNLABELLED, "promote", "10.0% better"),
    "labelled against an unlabelled champion": (but(SOUND, frechet=9.0), UNLABELLED, "promote", "better"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_truth_table(row: str) -> None:
    candidate, champion, verdict, reason = ROWS[row]
    decision = decided(candidate, champion)
    assert decision.verdict == verdict
    assert len(decision.reasons) >= 1
    assert re.search(reason, " ".join(decision.reasons))


def test_champion_that_cannot_be_judged_holds_even_a_splendid_candidate() -> None:
    decision = decided(but(SOUND, frechet=0.1), None, champion_error="bundle is damaged")
    assert decision.verdict == "hold"
    assert "bundle is damaged" in decision.reasons[0]


def test_a_bad_candidate_is_rejected_even_when_the_champion_cannot_be_judged() -> None:
    assert decided(but(SOUND, recall=0), None, champion_error="bundle is damaged").verdict == "reject"


CLASS = ClassScores(
    column="age", name="60+", train_images=128, holdout_images=18, samples=128,
    agreement=0.6, agreement_low=0.51, agreement_high=0.68,
    real_agreement=0.7, real_agreement_low=0.49, real_agreement_high=0.86,
    copies=2, copies_limit=9, near_exact_copies=0, diversity=0.9, nearest=0.9, frechet=0.3,
)  # fmt: skip


@pytest.mark.parametrize(
    "changes, verdict, reason",
    [
        ({}, "promote", "better"),
        ({"agreement": 0.1, "agreement_low": 0.05, "agreement_high": 0.17}, "hold", "age=60.: only 10% .* 70%"),
        ({"agreement": 0.3, "agreement_low": 0.2, "agreement_high": 0.4}, "promote", "better"),  # not surely too low
        ({"copies": 10}, "reject", "60.: 10 of 128 samples are copies"),
        ({"copies": 6, "copies_limit": 5}, "hold", "60.: 6 of 128 samples are copies"),
        ({"near_exact_copies": 3}, "hold", "3 of them nearly exact"),
        ({"diversity": 0.4}, "hold", "less varied"),
        ({"nearest": 0.1}, "hold", "less varied"),
        ({"diversity": math.nan, "nearest": math.nan}, "promote", "better"),  # too few real images to know
        ({"real_agreement": math.nan, "real_agreement_low": math.nan}, "promote", "better"),
    ],
)
def test_one_broken_class_is_enough_to_hold(changes: dict[str, Any], verdict: str, reason: str) -> None:
    classes = [CLASS.model_copy(update={"name": "25-39"}), CLASS.model_copy(update=changes)]
    decision = decided(but(SOUND, frechet=5.0), SOUND, classes=classes)
    assert decision.verdict == verdict
    assert re.search(reason, " ".join(decision.reasons))


@pytest.mark.parametrize(
    "champion, verdict",
    [
        (Interval(value=0.62, low=0.53, high=0.7), "promote"),
        (Interval(value=0.72, low=0.63, high=0.79), "promote"),  # lower, but not surely by more than 5 %
        (Interval(value=0.85, low=0.77, high=0.9), "hold"),
    ],
)
def test_a_class_that_became_worse_holds_a_better_model(champion: Interval, verdict: str) -> None:
    decision = decided(but(SOUND, frechet=5.0), SOUND, classes=[CLASS], champion_classes={"age=60+": champion})
    assert decision.verdict == verdict
    assert ("age=60+: 60% of its samples show the class, 85% of the champion's" in decision.reasons[0]) == (
        verdict == "hold"
    )


def test_a_labelled_model_without_metrics_per_class_is_held() -> None:
    assert decided(but(SOUND, frechet=5.0), SOUND, classes=None).verdict == "hold"
    assert decided(but(UNLABELLED, frechet=5.0), UNLABELLED, classes=None).verdict == "promote"


def test_a_first_version_that_is_held_says_how_long_to_train() -> None:
    decision = decided(but(SOUND, recall=0.12), None, training="It was trained on 1 kimg.")
    assert decision.reasons[-1] == "It was trained on 1 kimg."


def test_other_data_never_promotes() -> None:
    assert decided(but(SOUND, frechet=0.1), SOUND, same_data=False).verdict == "hold"
    for champion in (SOUND, None):
        decision = decided(but(SOUND, frechet=0.1), champion, own_data=False)
        assert decision.verdict == "hold"
        assert "images of this holdout" in decision.reasons[0]


@pytest.mark.parametrize("name", ["frechet", "recall", "label_agreement"])
def test_a_difference_without_an_interval_never_promotes(name: str) -> None:
    better, metric = but(SOUND, frechet=5.0), f"domain/{name}"
    known = differences(better, SOUND)
    for broken in (
        {key: value for key, value in known.items() if key != metric},
        known | {metric: Interval(value=0.5, low=math.nan, high=math.nan)},
    ):
        decision = decided(better, SOUND, differences=broken)
        assert decision.verdict == "hold"
        assert metric in decision.reasons[0]


def test_equal_is_held_even_when_no_improvement_is_asked_for() -> None:
    lenient = EvaluateConfig.model_validate({"min_improvement": 0})
    assert decided(SOUND, SOUND, config=lenient, half=0.0).verdict == "hold"
    assert decided(but(SOUND, frechet=9.85), SOUND, config=lenient).verdict == "promote"


def test_the_same_gain_promotes_only_when_it_is_sure() -> None:
    better = but(SOUND, frechet=9.0)
    verdicts = [decided(better, SOUND, half=half).verdict for half in (0.01, 0.05, 0.09, 0.2)]
    assert verdicts == ["promote", "promote", "hold", "hold"]


def test_every_failed_threshold_is_named() -> None:
    decision = decided(but(SOUND, frechet=30, recall=0, label_agreement=0), None)
    assert decision.verdict == "reject"
    assert len(decision.reasons) == 3
