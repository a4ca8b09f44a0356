"""Which measures are reported under which names, and when they are not."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceforge.evaluation.inception import metrics as inception
from faceforge.evaluation.inception.feature_statistics import FeatureStatistics
from faceforge.evaluation.inception.metrics import DESCRIPTIONS, MEASURES, MINIMA, inception_metrics, measure
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.report.metric_descriptions import describe

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(200, 8)).astype(np.float32)
FAKE = RNG.normal(0.3, 1, size=(150, 8)).astype(np.float32)
NETWORK: Any = SimpleNamespace(space="inception", logits=lambda rows: rows[:, :4] * 3)
SCORE = ("inception_score", "inception_score_std")
FEW: dict[inception.Measure, int] = {
    "fid": 50,
    "fid_infinity": 10**6,
    "kid": 20,
    "overlap": 20,
    "inception_score": 50,
}


def test_every_measure_with_its_words() -> None:
    found = inception_metrics(NETWORK, REAL, FAKE, minima=FEW)
    assert found["inception/fid"] == pytest.approx(frechet_from_features(REAL, FAKE))
    assert set(found) == {
        f"inception/{name}" for name in ("fid", "kid", "kid_std", "precision", "recall", "density", "coverage", *SCORE)
    }
    for name in (*found, "inception/fid_infinity", "inception/fid_class_age_60+", "inception_unverified/fid"):
        assert describe(name, DESCRIPTIONS), name


def test_measures_without_enough_images_are_left_out() -> None:
    assert set(measure(FeatureStatistics.of(REAL), FeatureStatistics.of(FAKE), MEASURES, NETWORK.logits)) == {
        *("kid", "kid_std", "precision", "recall", "density", "coverage")
    }
    assert measure(FeatureStatistics.of(REAL[:99]), FeatureStatistics.of(FAKE), MEASURES, NETWORK.logits) == {}
    assert MINIMA["fid"] >= 2048


def test_per_class_only_where_both_sides_have_enough() -> None:
    real_labels = np.stack([np.arange(200) % 2, np.zeros(200, int)], axis=1)
    fake_labels = np.stack([np.arange(150) % 2, (np.arange(150) < 140).astype(int)], axis=1)
    found = inception_metrics(
        NETWORK,
        REAL,
        FAKE,
        real_labels=real_labels,
        fake_labels=fake_labels,
        vocabularies={"sex": ["f", "m"], "age/group": ["60+", "young"]},
        minima=FEW,
    )
    for code, name in enumerate("fm"):
        expected = frechet_from_features(REAL[real_labels[:, 0] == code], FAKE[fake_labels[:, 0] == code])
        assert found[f"inception/fid_class_sex_{name}"] == pytest.approx(expected)
    assert not any("_class_age" in name for name in found)  # 10 samples of 60+, no real image of young


def test_the_space_of_other_weights_is_in_every_name() -> None:
    other: Any = SimpleNamespace(space="inception_unverified", logits=NETWORK.logits)
    assert all(name.startswith("inception_unverified/") for name in inception_metrics(other, REAL, FAKE, minima=FEW))


def test_equal_sets_score_better_than_different_ones() -> None:
    same = inception_metrics(NETWORK, REAL, RNG.normal(size=(150, 8)).astype(np.float32), minima=FEW)
    other = inception_metrics(NETWORK, REAL, FAKE + 1, minima=FEW)
    for name, better in (("fid", -1), ("kid", -1), ("precision", 1), ("recall", 1), ("density", 1), ("coverage", 1)):
        assert better * same[f"inception/{name}"] > better * other[f"inception/{name}"]
