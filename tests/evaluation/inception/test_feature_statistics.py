"""What is kept of features: exact statistics of all rows, a fair and repeatable choice of rows."""

from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception import feature_statistics
from faceforge.evaluation.inception.feature_statistics import FeatureStatistics, cached, collect_statistics

ROWS = np.arange(3000, dtype=np.float32).reshape(1000, 3)


def test_keeps_all_rows_of_few_and_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_array_equal(FeatureStatistics.of(ROWS).rows, ROWS)
    monkeypatch.setattr(feature_statistics, "KEPT_AT_MOST", 100)
    found = [collect_statistics(np.array_split(ROWS, parts)) for parts in (1, 7, 1000)]
    for one in found:
        assert one.rows.shape == (100, 3)
        np.testing.assert_array_equal(one.rows, found[0].rows)
        np.testing.assert_allclose(one.gaussian.mean, ROWS.mean(axis=0))
        assert one.gaussian.count == 1000


def test_every_row_is_kept_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_statistics, "KEPT_AT_MOST", 10)
    rows = np.arange(40, dtype=np.float32)[:, None]
    kept = np.concatenate([collect_statistics([rows], seed=seed).rows[:, 0].astype(int) for seed in range(400)])
    counts = np.bincount(kept, minlength=40)
    assert counts.sum() == 4000
    assert counts.min() > 65  # 100 expected, standard deviation 9
    assert counts.max() < 135


def test_nothing_to_gather_is_an_error() -> None:
    with pytest.raises(FaceForgeError, match="no images"):
        collect_statistics([])


def test_saves_and_loads(tmp_path: Path) -> None:
    made = FeatureStatistics.of(ROWS, identity="abc:float32")
    made.save(tmp_path / "x.npz")
    found = FeatureStatistics.load(tmp_path / "x.npz")
    assert found.identity == "abc:float32"
    np.testing.assert_array_equal(found.rows, ROWS)
    np.savez(tmp_path / "theirs.npz", mu=np.zeros(4), sigma=np.eye(4))
    theirs = FeatureStatistics.load(tmp_path / "theirs.npz")
    assert theirs.identity == ""
    assert theirs.rows.shape == (0, 4)


def test_the_cache_computes_once_per_key_and_heals(tmp_path: Path) -> None:
    calls = []

    def make() -> FeatureStatistics:
        calls.append(1)
        return FeatureStatistics.of(ROWS)

    for _ in range(2):
        np.testing.assert_array_equal(cached(tmp_path, "digest:train:net", make).rows, ROWS)
    assert len(calls) == 1
    cached(tmp_path, "digest:holdout:net", make)
    assert len(calls) == 2
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    cached(tmp_path, "digest:train:net", make)
    assert len(calls) == 3
    cached(tmp_path, "digest:train:net", make)
    assert len(calls) == 3
