from __future__ import annotations

from collections import Counter

import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.synthesis.latents import SERIES, start_of
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.plan import Cell, make_plan

FACES = {"sex": ["female", "male"], "age": ["child", "adult", "old"], "hat": ["no", "yes"]}


def wanted(cells: list[Cell], *columns: str) -> dict[tuple[str, ...], int]:
    counts: Counter[tuple[str, ...]] = Counter()
    for cell in cells:
        counts[tuple(cell.labels[column] for column in columns)] += cell.wanted
    return dict(counts)


def test_every_combination_gets_its_number() -> None:
    cells = make_plan(FACES, synthesis_config("per_class=5"), None)
    assert len(cells) == 12
    assert {cell.wanted for cell in cells} == {5}
    assert cells[1].labels == {"sex": "female", "age": "child", "hat": "yes"}
    assert cells[1].codes == (0, 0, 1)
    assert cells[1].name == "sex=female,age=child,hat=yes"


def test_columns_that_are_not_counted_share_each_number_evenly() -> None:
    cells = make_plan(FACES, synthesis_config("per_class=7, by=age"), None)
    assert wanted(cells, "age") == {("child",): 7, ("adult",): 7, ("old",): 7}
    assert set(wanted(cells, "age", "sex", "hat").values()) == {1, 2}
    few = make_plan(FACES, synthesis_config("per_class=2, by=age"), None)
    assert wanted(few, "sex") == {("female",): 3, ("male",): 3}  # spread, not the first ones only


def test_a_total_is_spread_over_all_combinations() -> None:
    cells = make_plan(FACES, synthesis_config("count=100"), None)
    assert sum(cell.wanted for cell in cells) == 100
    assert {cell.wanted for cell in cells} == {8, 9}
    (all_images,) = make_plan({}, synthesis_config("count=9"), None)
    assert (all_images.labels, all_images.codes, all_images.wanted) == ({}, (), 9)


def test_balance_adds_what_is_missing(data: ImageSet) -> None:
    there = data.info.counts["train"].classes["expression"]
    most = max(there.values())
    cells = make_plan(data.info.labels, synthesis_config("balance=true"), data)
    assert {cell.labels["expression"]: cell.wanted for cell in cells} == {
        name: most - count for name, count in there.items() if count < most
    }
    beyond = make_plan(data.info.labels, synthesis_config("balance=true, target=1000"), data)
    assert {
        cell.labels["expression"]: cell.wanted + there[cell.labels["expression"]] for cell in beyond
    } == dict.fromkeys(there, 1000)


def test_the_other_label_columns_are_spread_evenly(data: ImageSet) -> None:
    labels = {"expression": data.info.labels["expression"], "hat": ["no", "yes"]}
    cells = make_plan(labels, synthesis_config("balance=true, by=expression"), data)
    assert {cell.labels["hat"] for cell in cells} == {"no", "yes"}
    with pytest.raises(FaceForgeError, match="no label column 'hat'"):
        make_plan(labels, synthesis_config("balance=true"), data)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (FACES, "per_class=5, by=beard", "by names 'beard', but the model's label columns are sex, age, hat"),
        ({}, "per_class=5", "unconditional"),
        (FACES, "balance=true", "balance needs an image set"),
        ({f"attribute{number}": ["0", "1"] for number in range(40)}, "per_class=1", "choose fewer columns with by"),
    ],
)
def test_impossible_plans_raise(labels: dict[str, list[str]], settings: str, message: str) -> None:
    with pytest.raises(FaceForgeError, match=message):
        make_plan(labels, synthesis_config(settings), None)


def test_classes_unknown_to_the_model_raise(data: ImageSet) -> None:
    with pytest.raises(FaceForgeError, match="expression = 'glasses', which is not a class of the model"):
        make_plan({"expression": ["neutral", "smiling"]}, synthesis_config("balance=true"), data)
    with pytest.raises(FaceForgeError, match="nothing to make"):
        make_plan(data.info.labels, synthesis_config("balance=true, target=1"), data)


@pytest.mark.parametrize(
    "settings", ["", "count=5, per_class=5", "per_class=5, target=9", "count=5, by=age", "count=x"]
)
def test_contradictory_options_raise_one_line(settings: str) -> None:
    with pytest.raises(FaceForgeError) as message:
        synthesis_config(settings)
    assert "\n" not in str(message.value)


def test_every_combination_has_its_own_sequence() -> None:
    cells = make_plan(FACES, synthesis_config("per_class=1"), None)
    starts = [start_of(cell, (2, 3, 2)) for cell in cells]
    assert starts == [SERIES * number for number in range(12)]
