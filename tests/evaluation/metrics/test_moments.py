"""Streaming statistics: any split and order give numpy's mean and covariance; files are pytorch-fid's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.moments import Gaussian, Moments

ROWS = (np.random.default_rng(0).normal(size=(500, 6)) * [1, 2, 3, 0.1, 5, 0] + [0, 1e3, -5, 1, 0, 7]).astype(
    np.float32
)


def test_parts_in_any_split_and_order_equal_numpy() -> None:
    expected = np.cov(ROWS.astype(np.float64), rowvar=False)
    first, second = Moments(6), Moments(6)
    for part in (ROWS[400:], ROWS[:0], ROWS[10:11]):
        first.add(part)
    for part in np.array_split(ROWS[11:400], 7):
        second.add(part)
    second.add(ROWS[:10])
    first.merge(second)
    first.merge(Moments(6))
    found = first.gaussian
    assert found.count == 500
    np.testing.assert_allclose(found.mean, ROWS.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-9)


def test_small_spread_far_from_zero_keeps_its_digits() -> None:
    rows = np.random.default_rng(1).normal(size=(1000, 2)) + 1e8
    moments = Moments(2)
    for part in np.array_split(rows, 10):
        moments.add(part)
    np.testing.assert_allclose(moments.gaussian.covariance, np.cov(rows, rowvar=False), rtol=1e-6, atol=1e-6)


def test_one_row_has_no_covariance() -> None:
    assert np.isnan(Moments.of(ROWS[:1]).gaussian.covariance).all()


def test_files_are_what_pytorch_fid_reads_and_writes(tmp_path: Path) -> None:
    gaussian = Moments.of(ROWS).gaussian
    gaussian.save(tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as arrays:
        np.testing.assert_array_equal(arrays["mu"], gaussian.mean)
        np.testing.assert_array_equal(arrays["sigma"], gaussian.covariance)
    again = Gaussian.load(tmp_path / "ours.npz")
    assert again.count == 500
    np.savez(tmp_path / "theirs.npz", mu=gaussian.mean, sigma=gaussian.covariance)
    theirs = Gaussian.load(tmp_path / "theirs.npz")
    assert theirs.count == 0
    np.testing.assert_array_equal(theirs.covariance, gaussian.covariance)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, mu=np.zeros(3), sigma=np.zeros((2, 2)))
    with pytest.raises(FaceForgeError, match=r"mu \(3,\) and sigma \(2, 2\)"):
        Gaussian.load(file)
    np.savez(file, mu=np.array([{}], object), sigma=np.zeros((2, 2)))  # would take a pickle to read
    with pytest.raises(FaceForgeError, match="holds no statistics"):
        Gaussian.load(file)
    for content in (b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(FaceForgeError, match="holds no statistics"):
            Gaussian.load(file)


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda mu, sigma: (mu * np.nan, sigma), "not finite"),
        (lambda mu, sigma: (mu, sigma + np.inf), "not finite"),
        (lambda mu, sigma: (mu, sigma + np.triu(np.ones_like(sigma), 1)), "not symmetric"),
        (lambda mu, sigma: (mu, -sigma), "negative eigenvalues"),
        (lambda mu, sigma: (mu, sigma - 2 * np.outer(mu, mu) / (mu @ mu)), "negative eigenvalues"),
        (lambda mu, sigma: (mu[:0], sigma[:0, :0]), "has mu"),
    ],
)
def test_statistics_that_no_features_can_have_are_refused(change: Any, problem: str, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 8))
    mu, sigma = change(rows.mean(axis=0), np.cov(rows, rowvar=False))
    np.savez(tmp_path / "foreign.npz", mu=mu, sigma=sigma)
    with pytest.raises(FaceForgeError, match=problem):
        Gaussian.load(tmp_path / "foreign.npz")


def test_singular_statistics_in_single_precision_are_accepted(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(3, 1, size=(20, 64)).astype(np.float32)  # fewer rows than dimensions
    np.savez(tmp_path / "few.npz", mu=rows.mean(axis=0), sigma=np.cov(rows, rowvar=False).astype(np.float32))
    assert Gaussian.load(tmp_path / "few.npz").covariance.shape == (64, 64)
