"""A broken rare class is found although it is hardly seen in samples with the real class frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceforge.config import EvaluateConfig
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.evaluation.diagnostics.class_scores import ClassScores, class_metrics, class_table, worst_class
from faceforge.evaluation.diagnostics.classes import (
    LabelledImages,
    agreement_by_class,
    balanced_rows,
    class_scores,
    requested_labels,
)
from faceforge.evaluation.diagnostics.copies import CopyDetector
from faceforge.evaluation.gate import decide
from faceforge.evaluation.metrics.comparison import Interval
from tests.evaluation.diagnostics.attacks import halved, noisy

LABELS = {COLUMN: list(EXPRESSIONS)}
RARE = 2
SOUND = {
    "domain/frechet": 1.0, "domain/recall": 0.6, "domain/label_agreement": 0.97, "domain/real_label_accuracy": 0.99,
    "domain/frechet_floor": 0.4, "domain/recall_floor": 0.9, "privacy/copies_pixels": 0.01,
    "privacy/copies_features": 0.01, "privacy/copies_limit": 0.03, "privacy/near_exact_copies": 0.0,
}  # fmt: skip


class Features:
    """Stands for the domain classifier: features and predictions by the nearest of 600 known images."""

    def __init__(self) -> None:
        images, self._codes = draw_toyfaces(600, 32, seed=77)
        self._known = self(images)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return images[:, ::4, ::4].reshape(len(images), -1).astype(np.float32) / 255

    def labelled(self, images: np.ndarray, codes: np.ndarray, truth: np.ndarray | None = None) -> LabelledImages:
        """Predictions are the true classes of the images (`truth`, else `codes`), one in ten wrong."""
        predicted = (codes if truth is None else truth).copy()
        predicted[::10] = (predicted[::10] + 1) % 3
        return LabelledImages(images, codes, self(images), predicted)


@pytest.fixture(scope="module")
def world() -> dict[str, Any]:
    """Real images of which 2 % are of the rare class: 900 for training and 300 in the holdout; and 900 fresh ones."""
    images, codes = draw_toyfaces(6000, 32, seed=3)
    common, rare = np.flatnonzero(codes[:, 0] != RARE), np.flatnonzero(codes[:, 0] == RARE)
    train, holdout = np.r_[common[:880], rare[:20]], np.r_[common[880:1174], rare[20:26]]
    fresh = {code: images[np.flatnonzero(codes[:, 0] == code)[-300:]] for code in range(3)}
    return {
        "train": (images[train], codes[train]),
        "holdout": (images[holdout], codes[holdout]),
        "fresh": fresh,
        "detector": CopyDetector(images[train], images[holdout]),
    }


def measured(
    world: dict[str, Any], samples_of_rare: np.ndarray, true_class: int | np.ndarray = RARE
) -> list[ClassScores]:
    """Scores of a model that is honest about all classes but the rare one, whose samples show `true_class`."""
    features = Features()
    train, holdout = (features.labelled(*world[name]) for name in ("train", "holdout"))
    requested = requested_labels(train.codes, LABELS, seed=0)
    images = np.empty((len(requested), 32, 32, 3), np.uint8)
    truth = requested.copy()
    for code in range(3):
        rows = np.flatnonzero(requested[:, 0] == code)
        source = samples_of_rare if code == RARE else world["fresh"][code]
        images[rows] = source[np.arange(len(rows)) % len(source)]
        truth[rows, 0] = np.resize(true_class, len(rows)) if code == RARE else code
    fake = features.labelled(images, requested, truth)
    return class_scores(train, holdout, fake, LABELS, world["detector"])


def verdict(classes: list[ClassScores], champion_classes: dict[str, Interval] | None = None) -> tuple[str, str]:
    better = Interval(value=0.2, low=0.1, high=0.3)
    same = Interval(value=0.0, low=-0.01, high=0.01)
    decision = decide(
        SOUND,
        SOUND | {"domain/frechet": 1.25},
        {"domain/frechet": better, "domain/recall": same, "domain/label_agreement": same},
        classes=classes,
        champion_classes=champion_classes or {},
        own_data=True,
        same_data=True,
        config=EvaluateConfig.model_validate({}),
    )
    return decision.verdict, " ".join(decision.reasons)


def test_an_honest_model_passes_with_equal_numbers_of_samples(world: dict[str, Any]) -> None:
    classes = measured(world, world["fresh"][RARE])
    assert [score.samples for score in classes] == [128] * 3
    assert [score.holdout_images for score in classes][RARE] == 6
    assert verdict(classes)[0] == "promote"
    assert class_metrics(classes)["classes/diversity_lowest"] > 0.8


@pytest.mark.parametrize(
    "attack, reason",
    [
        ("another class", "of its samples show the class"),
        ("one fixed face", "less varied"),
        ("four fixed faces", "less varied"),
        ("two noisy faces in turn", "less varied"),
        ("verbatim copies", "copies of training images"),
        ("one in ten verbatim copies", "copies of training images"),
        ("one in ten mirrored copies", "copies of training images"),
        ("one in ten copied halves", "copies of training images"),
    ],
)
def test_a_broken_rare_class_is_not_promoted(world: dict[str, Any], attack: str, reason: str) -> None:
    train, codes = world["train"]
    own, fresh = train[codes[:, 0] == RARE], world["fresh"]
    samples = {
        "another class": fresh[1],
        "one fixed face": fresh[RARE][:1],
        "four fixed faces": fresh[RARE][:4],
        "two noisy faces in turn": noisy(np.resize(fresh[RARE][:2], (128, 32, 32, 3)), 4),
        "verbatim copies": own,
        "one in ten verbatim copies": np.concatenate([fresh[RARE][:108], own]),
        "one in ten mirrored copies": np.concatenate([fresh[RARE][:108], own[:, :, ::-1]]),
        "one in ten copied halves": np.concatenate([fresh[RARE][:108], halved(own, fresh[RARE][200:220], axis=2)]),
    }[attack]
    classes = measured(world, samples, true_class=1 if attack == "another class" else RARE)
    decision, reasons = verdict(classes)
    assert decision != "promote"
    assert EXPRESSIONS[RARE] in reasons
    assert reason in reasons


def test_a_class_of_which_the_champion_shows_more_is_not_promoted(world: dict[str, Any]) -> None:
    """One in three samples shows the class: too many for the six real images of it to tell, but the champion does."""
    shown = np.repeat([RARE, 1], [43, 85])
    images = np.concatenate([world["fresh"][RARE][:43], world["fresh"][1][:85]])
    classes = measured(world, images, shown)
    assert verdict(classes)[0] == "promote"
    requested = requested_labels(world["train"][1], LABELS, seed=0)
    predicted = Features().labelled(np.zeros((len(requested), 32, 32, 3), np.uint8), requested).predicted
    champion = agreement_by_class(requested, predicted, LABELS)
    of_champion = champion[f"{COLUMN}={EXPRESSIONS[RARE]}"].value
    of_candidate = classes[RARE].agreement
    assert of_champion == pytest.approx(0.9, abs=0.02)
    assert of_candidate == pytest.approx(0.9 * 43 / 128 + 0.1 * 85 / 128, abs=0.02)  # one prediction in ten is wrong
    decision, reasons = verdict(classes, champion)
    assert decision == "hold"
    assert f"{EXPRESSIONS[RARE]}: {of_candidate:.0%} of its samples show the class, {of_champion:.0%} of" in reasons
    assert EXPRESSIONS[1] not in reasons


def test_a_common_class_of_copies_is_not_promoted(world: dict[str, Any]) -> None:
    train, codes = world["train"]
    honest = dict(world["fresh"])
    copied = world | {"fresh": honest | {0: train[codes[:, 0] == 0][:100]}}
    decision, reasons = verdict(measured(copied, honest[RARE]))
    assert decision == "reject"
    assert EXPRESSIONS[0] in reasons


def test_the_worst_class_comes_first(world: dict[str, Any]) -> None:
    classes = measured(world, world["fresh"][1], true_class=1)
    worst = worst_class(classes)
    assert worst is not None
    assert worst.title == f"{COLUMN}={EXPRESSIONS[RARE]}"
    assert class_table(classes).rows[0][0] == worst.title
    assert class_metrics(classes)["classes/agreement_lowest"] == pytest.approx(worst.relative_agreement)
    assert class_metrics(classes)["classes/frechet_highest"] == max(score.frechet for score in classes)


def test_rows_and_requests_are_balanced() -> None:
    labels = np.repeat([[0, 0], [1, 1], [2, 1]], [1000, 20, 5], axis=0).astype(np.int32)
    vocabularies = {"age": ["young", "old", "oldest"], "glasses": ["no", "yes"]}
    rows = balanced_rows(labels, vocabularies)
    assert np.bincount(labels[rows, 0]).tolist() == [128, 20, 5]
    requested = requested_labels(labels, vocabularies, seed=0)
    assert len(requested) == 5 * 128
    assert (np.bincount(requested[:, 0]) >= 128).all()
    assert {tuple(row) for row in requested} <= {(0, 0), (1, 1), (2, 1)}  # only combinations that occur
