"""Calibration recovers probabilities that are known."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.inference.calibration import Calibration, calibrate, calibration_error, read_calibration

NONE = np.zeros((4000, 0), np.int32)


def test_recovers_the_true_probability_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    found = calibrate((rng.normal(1, 1, 4000), NONE), (rng.normal(-1, 1, 4000), NONE))
    # The log odds of N(1, 1) against N(-1, 1) are 2 x.
    assert found.slope == pytest.approx(2, rel=0.08)
    assert found.offsets[""] == pytest.approx(0, abs=0.1)


def test_counts_of_both_kinds_do_not_shift_it() -> None:
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(1, 1, 400), NONE[:400]), (rng.normal(-1, 1, 4000), NONE)
    assert calibrate(real, fake).probability(np.zeros(1), NONE[:1])[0] == pytest.approx(0.5, abs=0.06)


def test_every_combination_of_labels_has_its_offset_and_unknown_ones_the_common_one() -> None:
    rng = np.random.default_rng(0)
    labels = np.stack([np.arange(4000) % 2, np.arange(4000) // 2 % 2], axis=1)
    level = 10 * labels[:, 0] + 3 * labels[:, 1]
    found = calibrate((rng.normal(1, 1, 4000) + level, labels), (rng.normal(-1, 1, 4000) + level, labels))
    assert set(found.offsets) == {"0,0", "0,1", "1,0", "1,1"}
    middle = found.probability(np.array([0.0, 3, 10, 13]), np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    np.testing.assert_allclose(middle, 0.5, atol=0.1)
    elsewhere = found.probability(np.zeros(1), np.array([[7, 7]]))
    assert elsewhere == pytest.approx(1 / (1 + np.exp(-found.offset)))


def test_stays_finite_where_all_are_apart_or_all_are_equal() -> None:
    apart = calibrate((np.full(50, 1e4), NONE[:50]), (np.full(50, -1e4), NONE[:50]))
    assert apart.probability(np.array([1e4, -1e4]), NONE[:2]) == pytest.approx([0.98, 0.02], abs=0.01)
    equal = calibrate((np.ones(50), NONE[:50]), (np.ones(50), NONE[:50]))
    assert equal.probability(np.ones(1), NONE[:1])[0] == pytest.approx(0.5)


def test_never_turns_a_discriminator_round() -> None:
    rng = np.random.default_rng(0)
    assert calibrate((rng.normal(-1, 1, 99), NONE[:99]), (rng.normal(1, 1, 99), NONE[:99])) == Calibration(0.0, 0.0)


def test_survives_a_report(tmp_path: Path) -> None:
    calibration, report = Calibration(2.0, 0.5, {"0": 1.0}), tmp_path / "report.json"
    assert read_calibration(report) is None
    report.write_text(json.dumps({"metrics": {}, "calibration": asdict(calibration)}))
    assert read_calibration(report) == calibration
    report.write_text(json.dumps({"metrics": {}}))
    assert read_calibration(report) is None
    hostile = ('"x", "offset": 0', '1e999, "offset": 0', '1, "offset": NaN', '1, "offset": 0, "offsets": [1]')
    more = ('1, "offset": 0, "offsets": {"0": "x"}', '1, "offset": 0, "offsets": {"0": {}}', "9" * 5000)
    calibrations = [f'{{"calibration": {{"slope": {values}}}}}' for values in (*hostile, *more)]
    for nonsense in ("{", "[]", "[" * 100_000, '{"calibration": {"incline": 1}}', '{"calibration": 7}', *calibrations):
        report.write_text(nonsense)
        with pytest.raises(FaceForgeError, match="report.json is not the report"):
            read_calibration(report)


def test_error_is_the_gap_between_said_and_seen() -> None:
    real = np.arange(1000) % 2 == 0
    assert calibration_error(np.full(1000, 0.5), real) == pytest.approx(0)
    assert calibration_error(np.full(1000, 0.9), real) == pytest.approx(0.4)
    assert calibration_error(real * 0.98 + 0.01, real) == pytest.approx(0.01)
    lopsided = np.arange(1000) < 10  # few real images must not look like low odds
    assert calibration_error(np.full(1000, 0.5), lopsided) == pytest.approx(0)
