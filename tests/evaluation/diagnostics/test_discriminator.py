"""Accuracies of a discriminator from logits whose right answers are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.discriminator import NAMES, discriminator_metrics, pairwise

LabelledLogits = tuple[NDArray[np.float32], NDArray[np.int32]]


def scored(*logits: float, labels: list[int] | None = None) -> LabelledLogits:
    codes = np.zeros((len(logits), 0), np.int32) if labels is None else np.array(labels, np.int32)[:, None]
    return np.array(logits, np.float32), codes


def test_bce_counts_logits_above_zero_as_taken_for_real() -> None:
    metrics = discriminator_metrics(
        "bce", train=scored(1, 2, 3, 4), holdout=scored(1, -1, -1, -1), fake=scored(-1, -1, -1, 1)
    )
    assert metrics["discriminator/threshold"] == 0
    assert metrics["discriminator/accuracy_real_train"] == 1
    assert metrics["discriminator/accuracy_real"] == 0.25
    assert metrics["discriminator/accuracy_fake"] == 0.75
    assert metrics["discriminator/accuracy_train"] == pytest.approx(0.875)
    assert metrics["discriminator/accuracy"] == pytest.approx(0.5)
    assert set(metrics) == set(NAMES)


def test_relativistic_accuracy_does_not_change_when_all_logits_shift() -> None:
    rng = np.random.default_rng(0)
    real, unseen, fake = rng.normal(2, 1, 400), rng.normal(1.5, 1, 400), rng.normal(0, 1, 400)
    here, there = (
        discriminator_metrics("relativistic", scored(*(real + by)), scored(*(unseen + by)), scored(*(fake + by)))
        for by in (0, 100)
    )
    for name in NAMES:
        if name == "discriminator/threshold":
            assert there[name] == pytest.approx(here[name] + 100)
            continue
        assert here[name] == pytest.approx(there[name], abs=0.01)
    assert here["discriminator/accuracy_train"] == pytest.approx(0.84, abs=0.04)  # Gaussians two deviations apart


def test_a_discriminator_that_memorised_its_training_images_shows() -> None:
    rng = np.random.default_rng(0)
    train, holdout, fake = rng.normal(5, 1, 200), rng.normal(0, 1, 200), rng.normal(0, 1, 200)
    metrics = discriminator_metrics("relativistic", scored(*train), scored(*holdout), scored(*fake))
    assert metrics["discriminator/pairwise_train"] > 0.99
    assert metrics["discriminator/pairwise"] == pytest.approx(0.5, abs=0.06)
    assert metrics["discriminator/accuracy_train"] > 0.95
    assert metrics["discriminator/accuracy"] == pytest.approx(0.5, abs=0.06)


def test_threshold_is_not_fitted_on_the_samples_it_is_measured_on() -> None:
    noise = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    labels = np.zeros((40, 0), np.int32)
    noise[:2, :20] += np.array([[10], [-10]])  # only the first halves can be told apart
    metrics = discriminator_metrics("relativistic", (noise[0], labels), (noise[2], labels), (noise[1], labels))
    assert metrics["discriminator/accuracy_train"] < 0.8


def test_labels_whose_logits_lie_apart_have_thresholds_of_their_own() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 200).astype(np.int32)[:, None]
    level = 100.0 * labels[:, 0]  # as far apart as relativistic training may leave them
    real, unseen, fake = (rng.normal(mean, 1, 400) + level for mean in (3, 3, -3))
    metrics = discriminator_metrics("relativistic", (real, labels), (unseen, labels), (fake, labels))
    assert metrics["discriminator/accuracy"] > 0.97
    assert metrics["discriminator/auc"] > 0.99
    assert metrics["discriminator/calibration_error"] < 0.05


def test_scores_of_training_images_give_away_membership() -> None:
    rng = np.random.default_rng(0)
    fake = scored(*rng.normal(-3, 1, 400))
    overfitted = discriminator_metrics("bce", scored(*rng.normal(5, 1, 400)), scored(*rng.normal(0, 1, 400)), fake)
    assert overfitted["privacy/membership_auc_discriminator"] > 0.99
    assert overfitted["privacy/membership_tpr_discriminator"] > 0.9
    sound = discriminator_metrics("bce", scored(*rng.normal(0, 1, 400)), scored(*rng.normal(0, 1, 400)), fake)
    assert sound["privacy/membership_auc_discriminator"] == pytest.approx(0.5, abs=0.06)
    assert sound["privacy/membership_tpr_discriminator"] < 0.05


def test_a_discriminator_that_prefers_samples_is_not_believed_the_other_way_round() -> None:
    rng = np.random.default_rng(0)
    metrics = discriminator_metrics("relativistic", *(scored(*rng.normal(mean, 1, 100)) for mean in (0, 0, 5)))
    assert metrics["discriminator/accuracy"] == pytest.approx(0.5)
    assert metrics["discriminator/pairwise"] < 0.01


def test_pairwise_compares_only_within_the_same_labels() -> None:
    real = scored(1, 101, labels=[0, 1])
    fake = scored(0, 100, labels=[0, 1])
    assert pairwise(real, fake) == 1  # across labels, the sample at 100 would beat the real image at 1
    assert np.isnan(pairwise(scored(1, labels=[0]), scored(0, labels=[1])))


def test_pairwise_counts_ties_half() -> None:
    assert pairwise(scored(1, 1), scored(1, 1)) == 0.5
    assert pairwise(scored(1, 2, 3), scored(2)) == pytest.approx(0.5)


def test_logits_that_are_not_finite_give_no_number() -> None:
    metrics = discriminator_metrics("bce", scored(1, np.nan), scored(1, 1), scored(0, 0))
    assert set(metrics) == set(NAMES)
    assert all(np.isnan(value) for value in metrics.values())
