from __future__ import annotations

import hashlib

import numpy as np
import pytest

from faceforge.data.ingest.split import group_word, held_out


@pytest.fixture
def words() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**64, 2000, np.uint64)


def test_about_the_wanted_share_is_held_out(words: np.ndarray) -> None:
    assert abs(held_out(words, 0.2).mean() - 0.2) < 0.03


def test_a_larger_share_keeps_what_a_smaller_one_held_out(words: np.ndarray) -> None:
    assert held_out(words, 0.3)[held_out(words, 0.1)].all()


def test_groups_are_chosen_by_the_digests_of_their_names() -> None:
    assert f"{group_word('abc'):016x}" == hashlib.sha256(b"abc").hexdigest()[:16]
    groups = np.array([group_word(str(person)) for person in range(500)], np.uint64)
    assert 0.2 < held_out(groups, 0.3).mean() < 0.4
