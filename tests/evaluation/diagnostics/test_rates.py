"""Shares, rankings and their intervals against values worked out by hand."""

import numpy as np
import pytest

from faceforge.evaluation.diagnostics.rates import auc, interval, true_positive_rate


def test_interval_of_wilson() -> None:
    assert interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # textbook value
    low, high = interval(1.0, 10)
    assert low == pytest.approx(0.7225, abs=1e-4)
    assert high == 1
    assert np.isnan(interval(0.5, 0)).all()


def test_auc_counts_pairs_with_ties_half() -> None:
    assert auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == (1 + 0.5 + 1 + 1) / 4
    assert np.isnan(auc(np.array([]), np.array([1.0])))


def test_true_positives_at_a_bound_on_false_ones() -> None:
    negative = np.arange(200.0)
    assert true_positive_rate(np.array([0.0, 197.5, 198.5, 500]), negative, 0.01) == 0.75  # two of 200 may exceed 197
    assert true_positive_rate(negative, negative, 0.01) == 0.01
    assert true_positive_rate(np.ones(5), np.ones(5), 0.01) == 0  # nothing exceeds a tie
