from __future__ import annotations

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.models.label_requests import label_codes, label_request

DIGITS = {"digit": [str(number) for number in range(10)]}
FACES = {"Smiling": ["0", "1"], "Young": ["false", "true"], "Hair": ["-1", "1"]}


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"Smiling": 1, "Young": 0, "Hair": 1}, [1, 0, 1]),
        ({"Smiling": True, "Young": True, "Hair": False}, [1, 1, 0]),
        ({"Smiling": 0.0, "Young": "true", "Hair": -1}, [0, 1, 0]),
        ({"Smiling": np.int64(1), "Young": np.bool_(False), "Hair": "1"}, [1, 0, 1]),
    ],
)
def test_numbers_and_truth_values_are_taken_for_classes(asked: dict[str, object], codes: list[int]) -> None:
    np.testing.assert_array_equal(label_codes(FACES, asked, 2), [codes, codes])


def test_a_number_is_a_name_not_a_position() -> None:
    assert label_codes({"age": ["20", "5"]}, label_request({"age": ["20", "5"]}, 5, None, None), 1) == 1
    with pytest.raises(FaceForgeError, match="classes: young, old"):
        label_codes({"age": ["young", "old"]}, {"age": 1}, 1)
    with pytest.raises(FaceForgeError, match="digit = 10 is not a class"):
        label_codes(DIGITS, {"digit": 10}, 1)


def test_lists_may_mix_spellings() -> None:
    asked = label_request(DIGITS, None, [5, "5", 5.0], None)
    assert label_codes(DIGITS, asked, 3)[:, 0].tolist() == [5, 5, 5]


def test_an_exact_name_goes_before_a_spelling() -> None:
    assert label_codes({"a": ["TRUE", "1"]}, {"a": "1"}, 1) == 1
    assert label_codes({"a": ["yes", "1"]}, {"a": True}, 1) == 1
    assert label_codes({"a": ["1", "true"]}, {"a": [True, 1, "true"]}, 3)[:, 0].tolist() == [0, 0, 1]
