"""Precision, recall, density and coverage against a reference implementation and known answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics import blocks
from faceforge.evaluation.metrics.precision_recall import overlap

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "metric_expected.json").read_text())


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("name", list(EXPECTED))
def test_equals_the_reference_implementation(name: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 77)  # several chunks, the last one shorter
    with np.load(REFERENCE / "metric_features.npz") as features:
        found = overlap(features[f"{name}_real"], features[f"{name}_fake"], k=k)
    assert found._asdict() == pytest.approx(EXPECTED[name][f"prdc_k{k}"], rel=1e-6)


def test_dropped_modes_lower_recall_and_coverage_but_not_precision() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(-10, 1, (200, 8)), rng.normal(10, 1, (200, 8))])
    one_mode = rng.normal(10, 1, (400, 8))
    found = overlap(real, one_mode, k=3)
    assert found.precision > 0.8
    assert found.recall <= 0.5
    assert found.coverage <= 0.5


def test_strays_lower_precision_but_not_recall() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(0, 1, (400, 4))
    half_stray = np.concatenate([rng.normal(0, 1, (200, 4)), rng.normal(50, 1, (200, 4))])
    found = overlap(real, half_stray, k=3)
    assert found.precision <= 0.5
    assert found.recall > 0.7


def test_does_not_depend_on_where_the_data_lie() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, (100, 4)), rng.normal(0.5, 1, (90, 4))
    assert overlap(real + 1e6, fake + 1e6, k=5) == overlap(real, fake, k=5)


def test_nan_features_give_nan_not_a_number_that_looks_sound() -> None:
    real = np.random.default_rng(0).normal(size=(20, 4))
    fake = np.full((20, 4), np.nan)
    assert all(np.isnan(value) for value in overlap(real, fake, k=3))


def test_refuses_too_few_samples_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="at least 6"):
        overlap(np.zeros((5, 3)), np.zeros((100, 3)), k=5)
