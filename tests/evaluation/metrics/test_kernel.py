"""The kernel distance against torch-fidelity's kernel and known answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics import blocks
from faceforge.evaluation.metrics.kernel import kernel_distance, mmd2

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "metric_expected.json").read_text())


@pytest.mark.parametrize("name", list(EXPECTED))
def test_equals_the_reference_implementation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 77)
    rows = EXPECTED[name]["mmd2_n"]
    with np.load(REFERENCE / "metric_features.npz") as features:
        found = mmd2(features[f"{name}_real"][:rows], features[f"{name}_fake"][:rows])
    assert found == pytest.approx(EXPECTED[name]["mmd2_unbiased_cubic"], rel=1e-6)


def test_is_unbiased_at_any_number_of_rows() -> None:
    rng = np.random.default_rng(0)
    for rows in (5, 50):
        found = [mmd2(rng.normal(size=(rows, 4)), rng.normal(size=(rows + 3, 4))) for _ in range(400)]
        assert abs(np.mean(found)) < 3 * np.std(found) / 20


def test_subsets_are_repeatable_and_estimate_the_whole() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(400, 8)), rng.normal(0.5, 1, size=(300, 8))
    found = kernel_distance(real, fake, seed=1, subsets=60, size=100)
    assert found == kernel_distance(real, fake, seed=1, subsets=60, size=100)
    assert found != kernel_distance(real, fake, seed=2, subsets=60, size=100)
    assert found.mean == pytest.approx(mmd2(real, fake), abs=3 * found.spread / np.sqrt(60))
    whole = kernel_distance(real[:300], fake, subsets=2)  # subsets no larger than the sets
    assert whole.mean == pytest.approx(mmd2(real[:300], fake))
    assert whole.spread == pytest.approx(0, abs=1e-12)


def test_grows_with_the_difference_and_refuses_nonsense() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(200, 8))
    near, far = (mmd2(real, rng.normal(shift, 1, size=(200, 8))) for shift in (0.2, 1.0))
    assert 0 < near < far
    assert np.isnan(mmd2(real, np.full((5, 8), np.nan)))
    with pytest.raises(FaceForgeError, match="too few"):
        mmd2(real, real[:1])
    with pytest.raises(FaceForgeError, match="cannot be compared"):
        kernel_distance(real, real[:, :4])
