from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from faceforge.cli.main import main
from faceforge.config import resolve
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, problems_of, refuse

UTKFACE = "{age}_{gender}_{race}_{stamp}"


def test_names_as_utkface_has_them(make_folder: MakeFolder) -> None:
    names = [f"{20 + n % 2}_{n // 2 % 2}_{n % 3}_2017010917{n:03d}.jpg.chip.jpg" for n in range(12)]
    bad = ["39_1_20170116174525125.jpg.chip.jpg", "53__0_20170116.jpg", "portrait.jpg"]
    source = opened(make_folder(*names, *bad), labels_from_name=UTKFACE)
    assert source.labels == ("age", "gender", "race")
    assert "stamp (12 values)" in source.notes[0]
    samples = list(source.samples())
    assert problems_of(samples) == dict.fromkeys(bad, "its name does not fit ingest.labels_from_name")
    assert labels_of(samples)[names[5]] == {"age": "21", "gender": "0", "race": "2"}


def test_named_fields_only(make_folder: MakeFolder) -> None:
    root = make_folder("1_a_x.png", "2_b_x.png")
    assert labels_of(listing(root, labels_from_name="{id}_{kind}_{rest}", labels=("kind",))) == {
        "1_a_x.png": {"kind": "a"},
        "2_b_x.png": {"kind": "b"},
    }
    refuse("names 'mood'.*it has id, kind", root, labels_from_name="{id}_{kind}_{rest}", labels=("mood",))


@pytest.mark.parametrize(
    "pattern, path, found, other",
    [
        ("{a}-{b}", "x-y-z.png", {"a": "x", "b": "y-z"}, "q-r.png"),
        ("img {a}({b})", "img 7(old).v2.png", {}, "img 8(new).png"),
        ("img {a}({b}).v2", "img 7(old).v2.png", {"a": "7", "b": "old"}, "img 8(new).v2.png"),
        ("{a}/{b}_{c}", "deep/cat/1_2.png", {"a": "cat", "b": "1", "c": "2"}, "dog/3_4.png"),
        ("{a}_{b}.png", "x_y.png", {"a": "x", "b": "y"}, "q_r.png"),
        ("{a}__{b}", "x_y__z.png", {"a": "x_y", "b": "z"}, "q__r.png"),
        ("{a},{b}", "x,y.png", {"a": "x", "b": "y"}, "q,r.png"),
    ],
)
def test_patterns(make_folder: MakeFolder, pattern: str, path: str, found: dict[str, str], other: str) -> None:
    root = make_folder(path, other)
    samples = {sample.path: sample for sample in listing(root, labels_from_name=pattern, labels=tuple(found))}
    assert samples[path].labels == found
    assert bool(samples[path].problem) == (not found)
    assert not samples[other].problem


def test_the_pattern_survives_as_a_setting() -> None:
    text = f"train.kimg=2, ingest.labels_from_name={UTKFACE}, ingest.labels=age+race"
    assert resolve("toy", text).ingest.labels_from_name == UTKFACE
    for quote in "'\"":
        config = resolve("toy", f"ingest.labels_from_name={quote}{{a}}, {{b}}={{c}}{quote}, train.kimg=2")
        assert config.ingest.labels_from_name == "{a}, {b}={c}"
        assert config.train.kimg == 2


@pytest.mark.parametrize(
    "pattern, match",
    [
        ("no field", "no field in braces"),
        ("{a}{b", "unpaired brace"),
        ("{a}{b}", "need some text between"),
        ("{a}_{a}", "names 'a' twice"),
        ("{}_{b}", "'' is not a field name"),
        ("{a}#{b}", "fits none of 2 names in pictures"),
        ("{sha256}_{b}", "cannot be called 'sha256'"),
    ],
)
def test_mistakes_in_a_pattern_are_told(make_folder: MakeFolder, pattern: str, match: str) -> None:
    refuse(match, make_folder("1_2.png", "3_4.png"), labels_from_name=pattern)


def test_a_pattern_needs_files(make_folder: MakeFolder) -> None:
    refuse("goes with a folder or an archive", "toyfaces", labels_from_name=UTKFACE)
    root = make_folder("1_2.png", "3_4.png")
    (root / "t.csv").write_text("file,a\n1_2.png,1\n3_4.png,2\n")
    refuse("not from both", root, root / "t.csv", labels_from_name=UTKFACE)


def test_the_command_line_takes_a_pattern(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(*(f"{number},{'ab'[number % 2]}.png" for number in range(40)))
    arguments = ["ingest", str(root), "--out", str(tmp_path / "set"), "--labels-from-name", "{number},{kind}"]
    done = CliRunner().invoke(main, [*arguments, "--set", "ingest.holdout=0.3"])
    assert done.exit_code == 0, done.output
    assert "kind: a, b" in done.output
    assert "number (40 values)" in done.output
