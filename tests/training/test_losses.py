import numpy as np
import pytest
from keras import ops

from faceforge.training import losses

REAL, FAKE = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [3.0]], "float32")
KINDS = ("relativistic", "bce", "hinge", "wasserstein")


def reference_bce(logits: np.ndarray, target: float) -> float:
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return float(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))


def test_bce_equals_cross_entropy_of_probabilities() -> None:
    expected = reference_bce(REAL, 1) + reference_bce(FAKE, 0)
    assert float(losses.discriminator_loss("bce", REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    assert float(losses.generator_loss("bce", REAL, FAKE)) == pytest.approx(reference_bce(FAKE, 1), rel=1e-6)


def test_smoothing_moves_the_target_of_real_images_only() -> None:
    expected = reference_bce(REAL, 0.9) + reference_bce(FAKE, 0)
    assert float(losses.discriminator_loss("bce", REAL, FAKE, 0.1)) == pytest.approx(expected, rel=1e-6)


def test_relativistic_is_cross_entropy_of_the_difference() -> None:
    assert float(losses.discriminator_loss("relativistic", REAL, FAKE)) == pytest.approx(
        reference_bce(REAL - FAKE, 1), rel=1e-6
    )
    assert float(losses.generator_loss("relativistic", REAL, FAKE)) == pytest.approx(
        reference_bce(FAKE - REAL, 1), rel=1e-6
    )


@pytest.mark.parametrize("kind", ["relativistic", "wasserstein"])
def test_only_differences_matter(kind: str) -> None:
    shifted = losses.discriminator_loss(kind, REAL + 7, FAKE + 7)
    assert float(shifted) == pytest.approx(float(losses.discriminator_loss(kind, REAL, FAKE)), rel=1e-6)


def test_hinge_leaves_images_beyond_the_margin_alone() -> None:
    # Real: 2 is beyond 1, -1 lacks 2. Fake: 0.5 is 1.5 above -1, 3 is 4 above.
    assert float(losses.discriminator_loss("hinge", REAL, FAKE)) == pytest.approx(2 / 2 + 5.5 / 2)
    assert float(losses.discriminator_loss("hinge", REAL + 10, FAKE - 10)) == 0


def test_wasserstein_is_the_difference_of_means() -> None:
    assert float(losses.discriminator_loss("wasserstein", REAL, FAKE)) == pytest.approx(1.75 - 0.5)


@pytest.mark.parametrize("kind", ["hinge", "wasserstein"])
def test_the_generator_loss_is_the_negative_mean_score(kind: str) -> None:
    assert float(losses.generator_loss(kind, REAL, FAKE)) == pytest.approx(-1.75)


@pytest.mark.parametrize("kind", KINDS)
def test_each_loss_falls_where_the_other_rises(kind: str) -> None:
    better = FAKE + 0.1  # fakes that score higher
    assert float(losses.generator_loss(kind, REAL, better)) < float(losses.generator_loss(kind, REAL, FAKE))
    assert float(losses.discriminator_loss(kind, REAL, better)) > float(losses.discriminator_loss(kind, REAL, FAKE))


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(kind: str) -> None:
    low, high = ops.array([[-1e4]]), ops.array([[1e4]])
    assert np.isfinite(float(losses.discriminator_loss(kind, low, high)))
    assert np.isfinite(float(losses.generator_loss(kind, high, low)))


def test_unknown_losses_are_refused() -> None:
    for function in (losses.discriminator_loss, losses.generator_loss):
        with pytest.raises(ValueError, match="squared"):
            function("squared", REAL, FAKE)
