from __future__ import annotations

import hashlib

import numpy as np
import pytest

from faceforge.data.ingest.split import group_key, in_holdout


@pytest.fixture
def keys() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**64, 2000, np.uint64)


def test_about_the_wanted_share_is_in_holdout(keys: np.ndarray) -> None:
    assert abs(in_holdout(keys, 0.2).mean() - 0.2) < 0.03


def test_a_larger_share_keeps_what_a_smaller_one_in_holdout(keys: np.ndarray) -> None:
    assert in_holdout(keys, 0.3)[in_holdout(keys, 0.1)].all()


def test_groups_are_chosen_by_the_digests_of_their_names() -> None:
    assert f"{group_key('abc'):016x}" == hashlib.sha256(b"abc").hexdigest()[:16]
    groups = np.array([group_key(str(person)) for person in range(500)], np.uint64)
    assert 0.2 < in_holdout(groups, 0.3).mean() < 0.4
