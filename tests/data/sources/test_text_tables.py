"""Label tables as people and spreadsheets write them: the same rules for every format."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from faceforge.data.sources.text_tables import read_table
from faceforge.errors import FaceForgeError
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, problems_of, refuse

NAMES = [f"{number:03d}.png" for number in range(1, 21)]
MOODS = {name: ("glad", "sad")[number % 2] for number, name in enumerate(NAMES)}


@pytest.fixture
def faces(make_folder: MakeFolder) -> Path:
    return make_folder(*NAMES)


def rows(separator: str = ",", header: str = "file_name,mood", name: str = "{}") -> str:
    lines = [header.replace(",", separator)] if header else []
    return "\n".join([*lines, *(name.format(file) + separator + mood for file, mood in MOODS.items())])


def expect(faces: Path, column: str = "mood") -> tuple[str, ...]:
    assert labels_of(listing(faces)) == {name: {column: mood} for name, mood in MOODS.items()}
    return opened(faces).notes


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + rows(";"),
        '"sep=\t"\r\n' + rows("\t").replace("\n", "\r\n"),
        rows("|"),
        ",img_path,mood\n" + "\n".join(f"{n},{name},{mood}" for n, (name, mood) in enumerate(MOODS.items())),
        "Unnamed: 0,Image,mood\n" + "\n".join(f"{n},{name},{mood}" for n, (name, mood) in enumerate(MOODS.items())),
        rows().replace("\n", ",\n") + ",",  # a separator at the end of every line
        "mood,Filename\n" + "\n".join(f"{mood},{name}" for name, mood in MOODS.items()),
    ],
)
def test_spreadsheets_and_pandas(faces: Path, text: str) -> None:
    (faces / "labels.csv").write_bytes(text.encode())
    assert expect(faces) == ()


@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ","), ("labels.txt", " "), ("labels.txt", "  ")])
def test_a_missing_header_is_noticed(faces: Path, name: str, separator: str) -> None:
    (faces / name).write_text(rows(separator, header=""))
    assert expect(faces, "label") == (f"{name} has no header; its columns are called file_name, label",)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda name: name.removeprefix("0").removeprefix("0").removesuffix(".png"), "leading zeros"),
        (lambda name: name.upper(), ""),
        (lambda name: name.replace(".png", ".JPG"), ""),
        (lambda name: f"C:\\photos\\{name}", ""),
    ],
)
def test_names_are_matched_as_loosely_as_is_unambiguous(faces: Path, change: object, difference: str) -> None:
    lines = [f"{change(name)},{mood}" for name, mood in MOODS.items()]  # type: ignore[operator]
    (faces / "labels.csv").write_text("\n".join(["image_id,mood", *lines]))
    notes = expect(faces)
    expected = f"labels.csv: names were matched to files without regard to {difference}"
    assert notes == ((expected,) if difference else ())


def test_decomposed_and_damaged_letters_are_matched(make_folder: MakeFolder) -> None:
    decomposed, damaged = unicodedata.normalize("NFD", "J\u00fcrgen.png"), "Ren\u251c\u2310e.png"
    root = make_folder(decomposed, damaged, "mia.png")
    (root / "labels.csv").write_text("file,mood\nJ\u00fcrgen.png,a\nRen\u00e9e.png,b\nMIA.jpg,a\n", encoding="utf-8")
    assert labels_of(listing(root)) == {decomposed: {"mood": "a"}, damaged: {"mood": "b"}, "mia.png": {"mood": "a"}}
    assert "case or Unicode form, letters that are not ASCII" in opened(root).notes[0]


def test_a_table_that_fits_no_image_is_explained(faces: Path) -> None:
    (faces / "labels.csv").write_text("image_id,mood\nx1,a\nx2,b\n")
    refuse(
        "none of the 2 names in labels.csv fits an image: .*column 'image_id' .*'x1'.*first image is '001.png'", faces
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_encodings(faces: Path, encoding: str) -> None:
    (faces / "labels.csv").write_bytes(rows().replace("glad", "fr\u00f6hlich").encode(encoding))
    moods = {sample.labels["mood"] for sample in listing(faces)}
    assert moods == {"fr\u00f6hlich", "sad"}
    assert ("read as Windows-1252" in "".join(opened(faces).notes)) == (encoding == "cp1252")


def test_only_line_ends_divide_rows(faces: Path) -> None:
    (faces / "labels.csv").write_text(rows().replace("glad", "gl\u2028ad"), encoding="utf-8")
    assert {sample.labels["mood"] for sample in listing(faces)} == {"gl\u2028ad", "sad"}


@pytest.mark.parametrize("token", ["nan", "NaN", "null", "None", ""])
def test_words_for_a_missing_value_are_no_class(faces: Path, token: str) -> None:
    (faces / "labels.csv").write_text(rows())
    text = (faces / "labels.csv").read_text().replace("001.png,glad", f"001.png,{token}")
    (faces / "labels.csv").write_text(text)
    assert listing(faces)[0].labels == {"mood": None}
    assert listing(faces, missing="class")[0].labels == {"mood": "unknown"}


@pytest.mark.parametrize("token", ["NA", "n/a", "?", "-"])
def test_doubtful_classes_are_mentioned(faces: Path, token: str) -> None:
    (faces / "labels.csv").write_text(rows().replace("001.png,glad", f"001.png,{token}"))
    assert opened(faces).notes[0].startswith(f"class {token!r} of 'mood' may stand for a missing value")


def test_numbers_of_spreadsheets_are_one_class(faces: Path) -> None:
    text = rows().replace("glad", "1").replace("sad", "2").replace("001.png,1", "001.png,1.0")
    (faces / "labels.csv").write_text(text)
    assert {sample.labels["mood"] for sample in listing(faces)} == {"1", "2"}


def test_spelling_variants_are_mentioned(faces: Path) -> None:
    (faces / "labels.csv").write_text(rows().replace("001.png,glad", "001.png,Glad "))
    assert opened(faces).notes == ("classes of 'mood' that differ in spelling only: Glad / glad",)


def test_json_lines_and_json(faces: Path) -> None:
    objects = [{"file_name": name, "mood": mood, "box": [1, 2]} for name, mood in MOODS.items()]
    (faces / "metadata.jsonl").write_text("\n".join(map(json.dumps, objects)))
    expect(faces)
    (faces / "metadata.jsonl").unlink()
    (faces / "metadata.json").write_text(json.dumps(objects))
    expect(faces)
    (faces / "metadata.json").write_text('[{"file_name": "001.png", ')
    refuse("metadata.json is not readable JSON", faces)


def test_equal_rows_are_one_and_different_ones_are_refused(faces: Path) -> None:
    (faces / "labels.csv").write_text(rows() + "\n001.png,glad\n")
    expect(faces)
    (faces / "labels.csv").write_text(rows() + "\n001.png,sad\n")
    refuse("lists 001.png twice", faces)


def test_columns_that_identify_images_are_not_taken_unless_asked_for(faces: Path) -> None:
    lines = [f"{name},{mood},{number}" for number, (name, mood) in enumerate(MOODS.items())]
    (faces / "labels.csv").write_text("\n".join(["file_name,mood,age", *lines]))
    (note,) = opened(faces).notes
    assert note.startswith("not taken as labels, because they identify single images: age (20 values); ingest.bins")
    refuse("'age' holds 20 different numbers .0 to 19.*ingest.bins=\"age:5,10,15\"", faces, labels=("age",))
    source = opened(faces, bins="age:5,10")
    assert source.labels == ("mood", "age")
    assert source.vocabularies["age"] == ["<5", "5-9", "10+"]
    assert source.notes == ("age is divided at 5,10",)
    assert [sample.labels["age"] for sample in source.samples()] == ["<5"] * 5 + ["5-9"] * 5 + ["10+"] * 10
    quarters = opened(faces, labels=("age",), bins="age:q4")
    counts = Counter(sample.labels["age"] for sample in quarters.samples())
    assert [counts[name] for name in quarters.vocabularies["age"]] == [5] * 4


@pytest.mark.parametrize(
    ("bins", "match"),
    [
        ("age", "lacks a column or ':'"),
        ("age:5,a", "'5,a' are not edges"),
        ("age:5,3", "edges of 'age' must ascend"),
        ("height:5", "names 'height', which is no label column"),
        ("mood:1,2", "'mood' of faces|pictures holds 'glad', which is not a number"),
    ],
)
def test_malformed_bins_are_refused(faces: Path, bins: str, match: str) -> None:
    (faces / "labels.csv").write_text(rows(header="file_name,mood"))
    refuse(match, faces, bins=bins)


def test_a_table_of_another_name_is_used_where_no_folders_are_classes(make_folder: MakeFolder) -> None:
    flat = make_folder(*NAMES, name="flat")
    (flat / "people.csv").write_text(rows())
    expect(flat)
    classes = make_folder(*(f"{kind}/{name}" for kind in "ab" for name in NAMES), name="classes")
    (classes / "people.csv").write_text(rows(header="file,mood", name="a/{}"))
    assert opened(classes).labels == ("label",)
    assert opened(classes).notes == ("not used, although they may hold labels: people.csv (20 rows: file, mood)",)


def test_columns_of_sizes_and_boxes_are_labels_only_if_requested(faces: Path) -> None:
    lines = [f"{name},8,{1 + n % 2},{mood},{n % 2}" for n, (name, mood) in enumerate(MOODS.items())]
    (faces / "labels.csv").write_text("\n".join(["file,width,xmin,mood,split", *lines]))
    assert opened(faces).labels == ("mood",)
    assert opened(faces).notes[-1] == "ingest.labels can name more columns: width, xmin, split"
    assert opened(faces, labels=("xmin",)).labels == ("xmin",)


def test_an_object_for_each_file_name(faces: Path) -> None:
    (faces / "labels.json").write_text(json.dumps({name: {"mood": mood} for name, mood in MOODS.items()}))
    expect(faces)
    (faces / "labels.json").write_text(json.dumps(MOODS))
    expect(faces, "label")


def test_two_tables_are_joined_as_in_fairface(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{split}/{n}.png" for split in ("train", "val") for n in range(1, 9)))
    for split in ("train", "val"):
        lines = [f"{split}/{n}.png,{('m', 'f')[n % 2]},{n % 3}" for n in range(1, 9)]
        (root / f"fairface_label_{split}.csv").write_text("\n".join(["file,gender,race", *lines]))
    samples = listing(root)
    assert problems_of(samples) == {}
    assert {(sample.path, sample.labels["gender"], sample.split) for sample in samples[:2]} == {
        ("train/1.png", "f", "train"),
        ("train/2.png", "m", "train"),
    }
    assert [sample.split for sample in samples].count("holdout") == 8


def test_two_tables_with_different_columns_are_joined_and_must_agree(faces: Path) -> None:
    (faces / "moods.csv").write_text(rows())
    hats = {name: "yn"[number % 2] for number, name in enumerate(NAMES)}
    (faces / "hats.csv").write_text("\n".join(["image,hat", *(f"{n},{hat}" for n, hat in hats.items())]))
    assert set(opened(faces).labels) == {"mood", "hat"}
    (faces / "hats.csv").write_text(rows(header="image,mood").replace("001.png,glad", "001.png,sad"))
    assert problems_of(listing(faces)) == {"001.png": "its tables give different values of 'mood': glad, sad"}


def test_a_header_without_end_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the text is read")

    monkeypatch.setattr("faceforge.data.sources.text_tables.decode_text", read)
    with pytest.raises(FaceForgeError, match="first line is longer than a megabyte"):
        read_table(b"a," * 2**20, "labels.csv")
