from __future__ import annotations

import hashlib

from faceforge.data.split import holdout_side


def digests(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


def test_about_the_wanted_share_is_held_out() -> None:
    sides = [holdout_side(digest, 0.2) for digest in digests(2000)]
    assert abs(sides.count("holdout") / 2000 - 0.2) < 0.03


def test_a_larger_share_keeps_what_a_smaller_one_held_out() -> None:
    for digest in digests(200):
        assert holdout_side(digest, 0.1) == "train" or holdout_side(digest, 0.3) == "holdout"


def test_all_images_of_a_group_fall_on_one_side() -> None:
    for person in range(50):
        assert len({holdout_side(digest, 0.3, group=str(person)) for digest in digests(20)}) == 1
    sides = [holdout_side("00" * 32, 0.3, group=str(person)) for person in range(500)]
    assert 0.2 < sides.count("holdout") / 500 < 0.4
