"""Metrics of memorisation: known values for honest, copying and repeating models."""

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.copies import CopyDetector
from faceforge.evaluation.diagnostics.memorisation import memorisation
from faceforge.evaluation.metrics.neighbours import k_nearest, nearest

FACES, _ = draw_toyfaces(1000, 16, seed=4)
TRAIN, HOLDOUT, FRESH = FACES[:600], FACES[600:800], FACES[800:]


@pytest.fixture(scope="module")
def detector() -> CopyDetector:
    return CopyDetector(TRAIN, HOLDOUT)


@pytest.fixture(scope="module")
def metrics(detector: CopyDetector) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    blurred = np.mean([np.roll(FRESH, by, axis) for by in (-1, 0, 1) for axis in (1, 2)], axis=0)
    changed = TRAIN[:200, :, ::-1] + rng.normal(0, 8, FRESH.shape)
    models = {
        "faithful": FRESH,
        "blurred": blurred.astype(np.uint8),
        "noisy": np.clip(FRESH + rng.normal(0, 40, FRESH.shape), 0, 255).astype(np.uint8),
        "memorised": TRAIN[:200],
        "mirrored and changed": np.clip(changed, 0, 255).astype(np.uint8),
        "one in five memorised": np.concatenate([FRESH[:160], TRAIN[:40]]),
        "few faces": FRESH[np.arange(200) % 40],
    }
    return {name: memorisation(TRAIN, HOLDOUT, fake, detector).metrics for name, fake in models.items()}


@pytest.mark.parametrize("space", ["pixels", "features"])
def test_a_faithful_model_is_as_near_to_unseen_images(metrics: dict[str, dict[str, float]], space: str) -> None:
    faithful = metrics["faithful"]
    assert faithful[f"privacy/closer_to_train_{space}"] == pytest.approx(0.5, abs=0.08)
    assert faithful[f"privacy/distance_ratio_{space}"] == pytest.approx(1, abs=0.08)
    assert faithful[f"privacy/membership_auc_{space}"] == pytest.approx(0.5, abs=0.06)
    assert faithful[f"privacy/membership_tpr_{space}"] < 0.05
    assert faithful[f"privacy/copies_{space}"] <= faithful["privacy/copies_limit"]
    assert faithful[f"privacy/duplicates_{space}"] <= 0.06


@pytest.mark.parametrize("space", ["pixels", "features"])
def test_a_model_that_returns_training_images_is_caught(metrics: dict[str, dict[str, float]], space: str) -> None:
    memorised = metrics["memorised"]
    assert memorised[f"privacy/copies_{space}"] == 1
    assert memorised[f"privacy/membership_auc_{space}"] > 0.6
    assert memorised[f"privacy/membership_tpr_{space}"] > 0.3  # the third of the training images that was returned
    assert memorised["privacy/near_exact_copies"] > 190


@pytest.mark.parametrize("count", [200, 600])
def test_headlines_of_a_copying_model_do_not_depend_on_the_size_of_the_training_set(count: int) -> None:
    copies = memorisation(TRAIN[:count], HOLDOUT, TRAIN[:100]).metrics
    assert copies["privacy/closer_to_train_pixels"] > 0.99
    assert copies["privacy/distance_ratio_pixels"] < 0.01


def test_the_power_of_the_membership_attack_is_stated(metrics: dict[str, dict[str, float]]) -> None:
    drawn = TRAIN[np.random.default_rng(1).integers(0, 600, 200)]
    ceiling = metrics["faithful"]["privacy/membership_ceiling"]
    assert ceiling == pytest.approx(0.5 + (1 - (599 / 600) ** 200) / 2)
    assert memorisation(TRAIN, HOLDOUT, drawn).metrics["privacy/membership_auc_features"] == pytest.approx(
        ceiling, abs=0.05
    )


def test_copies_are_caught_mirrored_changed_or_among_others(metrics: dict[str, dict[str, float]]) -> None:
    assert metrics["mirrored and changed"]["privacy/copies_pixels"] > 0.8
    assert metrics["one in five memorised"]["privacy/copies_pixels"] == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("fault", ["blurred", "noisy"])
def test_poor_images_are_not_taken_for_copies(fault: str, metrics: dict[str, dict[str, float]]) -> None:
    for space in ("pixels", "features"):
        assert metrics[fault][f"privacy/copies_{space}"] <= metrics[fault]["privacy/copies_limit"]
        assert metrics[fault][f"privacy/membership_auc_{space}"] == pytest.approx(0.5, abs=0.07)


def test_repetition_shows_as_duplicates(metrics: dict[str, dict[str, float]]) -> None:
    assert metrics["few faces"]["privacy/duplicates_pixels"] == 1
    assert metrics["memorised"]["privacy/duplicates_pixels"] < 0.05


def test_the_sheet_shows_the_copies_first_with_their_originals(detector: CopyDetector) -> None:
    fake = np.concatenate([FRESH[:150], TRAIN[500:505]])
    closest = memorisation(TRAIN, HOLDOUT, fake, detector).closest
    assert closest.shape == (12, 3, 16, 16, 3)
    np.testing.assert_array_equal(closest[:5, 0], closest[:5, 1])
    assert {image.tobytes() for image in closest[:5, 0]} == {image.tobytes() for image in TRAIN[500:505]}
    assert not (closest[:5, 0] == closest[:5, 2]).all()


def test_refuses_too_few_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="at least 50"):
        memorisation(TRAIN, HOLDOUT, FRESH[:10])


def test_nearest_agrees_with_all_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(100, 1, (2100, 3)).astype(np.float32), rng.normal(100, 1, (50, 3)).astype(np.float32)
    b[7] = a[1500]
    pairs = np.linalg.norm(a[:, None].astype(np.float64) - b, axis=2)
    to_b, to_a = nearest(a, b)
    np.testing.assert_array_equal(to_b.row, pairs.argmin(axis=1))
    np.testing.assert_array_equal(to_a.row, pairs.argmin(axis=0))
    np.testing.assert_allclose(to_b.distance, pairs.min(axis=1), atol=1e-12)
    assert to_a.distance[7] == 0
    others, _ = nearest(b, b, others=True)
    apart = np.linalg.norm(b[:, None].astype(np.float64) - b, axis=2) + np.diag(np.full(50, np.inf))
    np.testing.assert_allclose(others.distance, apart.min(axis=1), atol=1e-12)


def test_k_nearest_agrees_with_all_pairs() -> None:
    points = np.random.default_rng(1).normal(size=(1300, 5)).astype(np.float32)  # several blocks
    squared = ((points[:, None].astype(np.float64) - points) ** 2).sum(axis=2) + np.diag(np.full(1300, np.inf))
    values, rows = k_nearest(points, 4)
    np.testing.assert_array_equal(rows, np.argsort(squared, axis=1)[:, :4])
    np.testing.assert_allclose(values, np.sort(squared, axis=1)[:, :4], rtol=1e-12)
