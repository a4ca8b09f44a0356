"""The Frechet distance against reference implementations and against answers known in closed form."""

import json
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.frechet import frechet_distance, frechet_from_features, frechet_influence

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "metric_expected.json").read_text())


@pytest.mark.parametrize("name", list(EXPECTED))
def test_equals_the_reference_implementations_to_six_digits(name: str) -> None:
    with np.load(REFERENCE / "metric_features.npz") as features:
        distance = frechet_from_features(features[f"{name}_real"], features[f"{name}_fake"])
    assert distance == pytest.approx(EXPECTED[name]["frechet_pytorch_fid"], rel=1e-6)
    assert distance == pytest.approx(EXPECTED[name]["frechet_torch_fidelity"], rel=1e-6)


def test_closed_form_of_diagonal_gaussians() -> None:
    mean1, mean2 = np.array([0.0, 1.0]), np.array([3.0, 5.0])
    distance = frechet_distance(mean1, np.diag([1.0, 4.0]), mean2, np.diag([9.0, 16.0]))
    assert distance == pytest.approx(9 + 16 + (3 - 1) ** 2 + (4 - 2) ** 2)


def test_is_zero_for_a_set_against_itself_even_with_singular_covariance() -> None:
    features = np.random.default_rng(0).normal(size=(20, 64))
    assert frechet_from_features(features, features) == pytest.approx(0, abs=1e-9)
    constant = np.ones((10, 8))
    assert frechet_from_features(constant, constant) == 0


def test_is_symmetric() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(80, 16)), rng.normal(1, 2, size=(60, 16))
    assert frechet_from_features(first, second) == pytest.approx(frechet_from_features(second, first), rel=1e-9)


def test_is_nan_when_a_feature_is_not_finite() -> None:
    features = np.random.default_rng(0).normal(size=(20, 4))
    broken = features.copy()
    broken[3, 2] = np.inf
    assert np.isnan(frechet_from_features(features, broken))


def test_refuses_features_of_different_spaces_and_single_samples() -> None:
    with pytest.raises(FaceForgeError, match="cannot be compared"):
        frechet_from_features(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(FaceForgeError, match="at least 2"):
        frechet_from_features(np.zeros((1, 3)), np.zeros((5, 3)))


def test_influence_is_the_change_of_the_distance_when_a_row_weighs_more() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(300, 4)), rng.normal(0.4, 0.8, size=(250, 4))
    result = frechet_influence(first, second)
    assert result.distance == pytest.approx(frechet_from_features(first, second))
    assert result.first.mean() == pytest.approx(0, abs=1e-9)
    for row in (0, 17):
        # The row once more, for the derivative by its weight 1 / (N + 1).
        more = frechet_from_features(first, np.concatenate([second, second[row : row + 1]]))
        assert (more - result.distance) * 251 == pytest.approx(result.second[row], abs=0.1)
        more = frechet_from_features(np.concatenate([first, first[row : row + 1]]), second)
        assert (more - result.distance) * 301 == pytest.approx(result.first[row], abs=0.1)


def test_influence_gives_the_spread_of_the_distance_over_new_draws() -> None:
    rng = np.random.default_rng(1)
    draws = [(rng.normal(size=(400, 6)), rng.normal(0.3, 0.8, size=(400, 6))) for _ in range(60)]
    results = [frechet_influence(*pair) for pair in draws]
    stated = [np.sqrt(result.first.var() / 400 + result.second.var() / 400) for result in results]
    assert np.mean(stated) == pytest.approx(np.std([result.distance for result in results]), rel=0.3)


def test_influence_of_singular_features_is_finite() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(20, 30)), rng.normal(size=(15, 30))
    assert np.isfinite(np.concatenate(frechet_influence(first, second)[1:])).all()
