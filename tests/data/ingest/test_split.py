from __future__ import annotations

import hashlib
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from faceforge.config import resolve
from faceforge.data.ingest.split import MIN_IMAGES, group_key, in_holdout, sufficient_share
from faceforge.errors import FaceForgeError


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


@pytest.mark.parametrize("count", [128, 220, 500])
def test_a_small_set_holds_out_as_many_images_as_evaluation_needs(keys: np.ndarray, count: int) -> None:
    few = keys[:count]
    held_out = in_holdout(few, sufficient_share(few, 0.1))
    assert held_out.sum() == MIN_IMAGES
    assert held_out[in_holdout(few, 0.1)].all()


def test_a_set_that_grows_never_holds_out_what_it_trained_on(keys: np.ndarray) -> None:
    few, many = keys[:200], keys
    assert not (in_holdout(few, sufficient_share(many, 0.1)) & ~in_holdout(few, sufficient_share(few, 0.1))).any()


def test_the_configured_share_is_kept_where_it_suffices_or_nothing_does(keys: np.ndarray) -> None:
    assert sufficient_share(keys, 0.1) == 0.1
    assert sufficient_share(keys[:127], 0.1) == 0.1


def test_images_of_a_group_are_held_out_together() -> None:
    groups = np.repeat(np.array([group_key(str(person)) for person in range(50)], np.uint64), 6)
    held_out = in_holdout(groups, sufficient_share(groups, 0.01))
    assert held_out.sum() == 66
    assert set(groups[held_out]).isdisjoint(groups[~held_out])


def test_evaluation_accepts_the_smallest_holdout() -> None:
    reference = pytest.importorskip("faceforge.evaluation.reference")
    evaluate = resolve("toy", "").evaluate
    for count, accepted in ((MIN_IMAGES, True), (MIN_IMAGES - 1, False)):
        info = SimpleNamespace(counts={"train": SimpleNamespace(total=900), "holdout": SimpleNamespace(total=count)})
        with nullcontext() if accepted else pytest.raises(FaceForgeError, match="63 holdout images are too few"):
            assert reference.comparable(info, evaluate) == MIN_IMAGES
