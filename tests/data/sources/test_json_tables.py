"""JSON label tables in the shapes that people and pandas write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, refuse

NAMES = [f"{number}.png" for number in range(6)]
MOODS = {name: ("glad", "sad")[number % 2] for number, name in enumerate(NAMES)}
BACKWARDS = list(reversed(NAMES))  # so that the numbers of rows are not the names of the images
TABLE = pd.DataFrame({"file": BACKWARDS, "label": [MOODS[name] for name in BACKWARDS]})


@pytest.fixture
def faces(make_folder: MakeFolder) -> Path:
    return make_folder(*NAMES)


@pytest.mark.parametrize(
    "content",
    [
        MOODS,
        {name.removesuffix(".png"): mood for name, mood in MOODS.items()},
        list(MOODS.items()),
        {"labels": list(MOODS.items())},
        {mood: [name for name in NAMES if MOODS[name] == mood] for mood in ("glad", "sad")},
        {str(n): {"image": {"file_path": f"photos/{name}"}, "label": MOODS[name]} for n, name in enumerate(BACKWARDS)},
        *(json.loads(TABLE.to_json(orient=orient)) for orient in ("records", "columns", "index", "split")),
    ],
)
def test_shapes(faces: Path, content: Any) -> None:
    (faces / "labels.json").write_text(json.dumps(content))
    assert labels_of(listing(faces, labels=("label",))) == {name: {"label": mood} for name, mood in MOODS.items()}


def test_lists_for_each_split(faces: Path) -> None:
    rows = [{"file": name, "label": mood} for name, mood in MOODS.items()]
    (faces / "labels.json").write_text(json.dumps({"train": rows[:4], "test": rows[4:]}))
    assert [sample.split for sample in listing(faces)] == ["train"] * 4 + ["holdout"] * 2


def test_numbers_of_rows_are_not_taken_for_names(faces: Path) -> None:
    rows = [f"{n},{name},{MOODS[name]}" for n, name in enumerate(BACKWARDS)]
    (faces / "labels.csv").write_text("\n".join(["id,picture_of_face,label", *rows]))
    assert labels_of(listing(faces, labels=("label",))) == {name: {"label": mood} for name, mood in MOODS.items()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "man\nwoman\n"),
        ("labels.csv", "ClassId,Name\nman,0\nwoman,1"),
        ("metadata.json", '{"version": 1}'),
    ],
)
def test_lists_of_classes_and_descriptions_leave_the_folders_as_classes(
    make_folder: MakeFolder, name: str, text: str
) -> None:
    root = make_folder(*(f"{sex}/{n}.png" for sex in ("man", "woman") for n in range(2)))
    (root / name).write_text(text)
    assert {sample.labels["label"] for sample in listing(root)} == {"man", "woman"}


def test_other_json_is_refused(faces: Path) -> None:
    (faces / "labels.json").write_text('{"a": [1, 2], "b": [3]}')
    refuse("holds no objects with a file name and labels", faces)
