"""Membership inference: intervals of the AUC, warnings, and the distances of the tabular tools."""

from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.evaluation.diagnostics.discriminator import membership_by_discriminator
from faceforge.evaluation.diagnostics.holdout_distances import holdout_distances
from faceforge.evaluation.diagnostics.membership import (
    Attack,
    as_metrics,
    attack_by_pixels,
    membership_summary,
    membership_warnings,
)

FACES, _ = draw_toyfaces(500, 16, seed=6)
TRAIN, HOLDOUT, FRESH = FACES[:200], FACES[200:400], FACES[400:]


@pytest.mark.parametrize("shift", [0.0, 0.6, 2.0])
def test_the_interval_of_an_attack_holds_its_true_auc_in_95_percent(shift: float) -> None:
    from scipy.stats import norm

    rng, truth = np.random.default_rng(0), norm.cdf(shift / 2**0.5)
    attacks = [Attack.measured(rng.normal(shift, 1, 60), rng.normal(0, 1, 80)) for _ in range(200)]
    assert 0.91 <= np.mean([attack.low <= truth <= attack.high for attack in attacks]) <= 0.99


def test_perfect_and_tiny_attacks_have_no_impossible_interval() -> None:
    perfect = Attack.measured(np.ones(20), np.zeros(20))
    assert perfect.auc == 1
    assert 0.5 < perfect.low < perfect.high <= 1
    assert np.isnan(Attack.measured(np.ones(1), np.zeros(20)).low)


def test_samples_that_copy_training_images_leak_and_others_do_not() -> None:
    honest, copying = (attack_by_pixels(TRAIN, HOLDOUT, fake) for fake in (FRESH, TRAIN[:100, :, ::-1]))
    assert not honest.leaks
    assert honest.low < 0.5 < honest.high
    assert copying.leaks
    assert copying.low > 0.65  # half of the training images were returned, mirrored


def test_the_discriminator_is_attacked_within_equal_labels() -> None:
    """Labels that shift all logits alike are no leak; a shift of training images within each label is."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [150, 50])[:, None].astype(np.int32)
    offset = np.where(labels[:, 0] == 0, 5.0, -5.0)

    def logits(shift: float, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (rng.normal(shift, 1, len(codes)) + offset[: len(codes)]).astype(np.float32), codes

    sound = membership_by_discriminator(logits(0, labels), logits(0, labels))
    leaking = membership_by_discriminator(logits(1, labels), logits(0, labels))
    assert sound.low < 0.5 < sound.high
    assert leaking.leaks
    assert leaking.low < 0.76 < leaking.high  # P(N(1, 1) > N(0, 1))


def test_a_leak_is_warned_of_with_its_interval_and_what_to_do() -> None:
    sound = as_metrics(Attack(0.52, 0.47, 0.57), "pixels")
    uncertain = as_metrics(Attack(0.58, 0.49, 0.67), "features")
    leak = as_metrics(Attack(0.66, 0.62, 0.70), "discriminator")
    assert membership_warnings(sound | uncertain) == []
    (warning,) = membership_warnings(sound | uncertain | leak)
    assert "discriminator" in warning
    assert "0.66 (0.62 to 0.70)" in warning
    (warning,) = membership_warnings(as_metrics(Attack(0.6, 0.56, 0.64), "features"))
    assert "samples" in warning
    assert membership_summary(sound | leak) == (
        "membership inference (0.5 = no leak): samples, by pixels 0.52 (0.47 to 0.57), discriminator 0.66 (0.62 to"
        " 0.70)"
    )
    assert membership_summary({}) == ""


def points(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def test_distances_of_the_tabular_tools_for_honest_and_copying_samples() -> None:
    honest = holdout_distances(points(TRAIN), points(HOLDOUT), points(FRESH), "pixels")
    assert honest["privacy/dcr_share_pixels"] == pytest.approx(0.5, abs=0.12)
    assert honest["privacy/nndr_train_pixels"] == pytest.approx(honest["privacy/nndr_holdout_pixels"], abs=0.03)
    assert 0.7 < honest["privacy/nndr_train_pixels"] < 1

    copies = holdout_distances(points(TRAIN), points(HOLDOUT), points(TRAIN[:100]), "pixels")
    assert copies["privacy/dcr_share_pixels"] == 1
    assert copies["privacy/nndr_train_pixels"] < 0.05 < 0.7 < copies["privacy/nndr_holdout_pixels"]


def test_the_share_does_not_depend_on_how_many_training_images_there_are() -> None:
    """With four times as many training images most samples are closest to one of them, which is no leak."""
    few = holdout_distances(points(FACES[:400]), points(FACES[400:450]), points(FACES[450:]), "x")
    assert few["privacy/dcr_share_x"] == pytest.approx(0.5, abs=0.2)
