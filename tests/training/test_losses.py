import numpy as np
import pytest
from keras import ops

from faceforge.training import losses

REAL, FAKE = np.array([[2.0], [-1.0]], "float32"), np.array([[0.5], [3.0]], "float32")


def reference_bce(logits: np.ndarray, target: float) -> float:
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return float(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))


def test_bce_equals_cross_entropy_of_probabilities() -> None:
    expected = reference_bce(REAL, 1) + reference_bce(FAKE, 0)
    assert float(losses.discriminator_loss("bce", REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    assert float(losses.generator_loss("bce", REAL, FAKE)) == pytest.approx(reference_bce(FAKE, 1), rel=1e-6)


def test_relativistic_is_cross_entropy_of_the_difference() -> None:
    assert float(losses.discriminator_loss("relativistic", REAL, FAKE)) == pytest.approx(
        reference_bce(REAL - FAKE, 1), rel=1e-6
    )
    assert float(losses.generator_loss("relativistic", REAL, FAKE)) == pytest.approx(
        reference_bce(FAKE - REAL, 1), rel=1e-6
    )


def test_only_differences_matter_to_the_relativistic_loss() -> None:
    shifted = losses.discriminator_loss("relativistic", REAL + 7, FAKE + 7)
    assert float(shifted) == pytest.approx(float(losses.discriminator_loss("relativistic", REAL, FAKE)), rel=1e-6)


def test_extreme_logits_stay_finite() -> None:
    for kind in ("bce", "relativistic"):
        assert np.isfinite(float(losses.discriminator_loss(kind, ops.array([[-1e4]]), ops.array([[1e4]]))))
