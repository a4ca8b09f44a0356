from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from faceforge.data.sources import classes as classes_module
from tests.data.conftest import MakeFolder
from tests.data.sources.conftest import labels_of, listing, opened, problems_of, refuse

COMMAS = "age,file_name,sex\n7,a.png,f\n,b.png,m\n8,gone.png,m\n9,d.png,f\n"


@pytest.mark.parametrize("text", [COMMAS, COMMAS.replace(",", ";").replace("\n", "\r\n"), COMMAS.replace(",", "\t")])
@pytest.mark.parametrize("beside", [True, False])
def test_a_csv_labels_a_folder(make_folder: MakeFolder, tmp_path: Path, text: str, beside: bool) -> None:
    root = make_folder("a.png", "b.png", "c.png", "d.png")
    file = (root if beside else tmp_path) / "labels.csv"
    file.write_text("\ufeff" + text, encoding="utf-8")
    samples = {sample.path: sample for sample in listing(root, "" if beside else file)}
    assert samples["a.png"].labels == {"age": "7", "sex": "f"}
    assert samples["b.png"].labels == {"age": None, "sex": "m"}
    assert "not listed in labels.csv" in samples["c.png"].problem
    assert "absent" in samples["gone.png"].problem
    assert not samples["gone.png"].absent  # a table of the user's own is expected to be right
    assert labels_of(listing(root, file, labels=("sex",)))["a.png"] == {"sex": "f"}


@pytest.mark.parametrize("beside", [True, False])
def test_a_parquet_table_labels_a_folder(make_folder: MakeFolder, tmp_path: Path, beside: bool) -> None:
    root = make_folder("a.png", "b.png", "c.png")
    file = (root / "metadata.parquet") if beside else (tmp_path / "people.parquet")
    table = pd.DataFrame(
        {"file_name": ["a.png", "b.png", "c.png"], "age": [7.0, None, 8.0], "glad": [True, False, True]}
    )
    table.assign(tags=pd.Series([["hat"], [], ["hat", "coat"]], dtype=object)).to_parquet(file)
    given = "" if beside else file
    assert labels_of(listing(root, given, labels=("age", "glad"))) == {
        "a.png": {"age": "7", "glad": "1"},
        "b.png": {"age": None, "glad": "0"},
        "c.png": {"age": "8", "glad": "1"},
    }
    assert labels_of(listing(root, given, labels=("tags",)))["b.png"] == {"tags_coat": "0", "tags_hat": "0"}
    assert set(opened(root, given).stamps()) == {"a.png", "b.png", "c.png", file.name}


def test_missing_labels_can_be_a_class(make_folder: MakeFolder) -> None:
    root = make_folder("a.png", "b.png")
    (root / "labels.csv").write_text("file,mood\na.png,glad\nb.png,\n")
    refuse("only the class 'glad'", root)
    assert labels_of(listing(root, missing="class")) == {"a.png": {"mood": "glad"}, "b.png": {"mood": "unknown"}}


def test_names_may_lack_folder_or_suffix_as_long_as_they_are_clear(make_folder: MakeFolder) -> None:
    root = make_folder("x/1.png", "x/2.png", "y/2.png", "y/3.png", "y/4.png")
    (root / "labels.csv").write_text("id,mood\n1.png,a\n2.png,b\n3,c\n./y/4.png,d\n")
    samples = listing(root)
    assert {path: row["mood"] for path, row in labels_of(samples).items() if row} == {
        "x/1.png": "a",
        "y/3.png": "c",
        "y/4.png": "d",
    }
    assert set(problems_of(samples)) == {"x/2.png", "y/2.png", "2.png"}  # which of the two is meant?


def test_a_row_of_one_file_is_not_lent_to_another(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "x/1.png", "2.png")
    (root / "labels.csv").write_text("file,mood\n1.png,a\n2.png,b\n")
    assert set(problems_of(listing(root))) == {"x/1.png"}


def test_paths_of_another_machine_are_understood(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    (root / "labels.csv").write_text("file,mood\n/data/old/1.png,a\nC:\\data\\2.png,b\n")
    assert labels_of(listing(root)) == {"1.png": {"mood": "a"}, "2.png": {"mood": "b"}}


@pytest.mark.parametrize(
    "text, match",
    [
        ("", "needs a header"),
        ("file_name\n1.png\n", "needs a header"),
        ("file_name,mood\n", "no rows"),
        ("file_name,mood\n1.png,a\n1.png,b\n", "lists 1.png twice"),
        ("file_name,,mood\n1.png,x,a\n2.png,y,b\n", "column 2 has no name"),
        ("file_name,mood,mood\n1.png,x,a\n2.png,y,b\n", "two columns called 'mood'"),
        ("file_name,mood\n1.png,a\n2.png,a\n", "only the class 'a'"),
        ("file_name,mood\n1.png,\n2.png,\n", "no values"),
        ("file_name,source\n1.png,a\n2.png,b\n", "cannot be called 'source'"),
    ],
)
def test_mistakes_in_a_csv_are_told(make_folder: MakeFolder, text: str, match: str) -> None:
    root = make_folder("1.png", "2.png")
    (root / "labels.csv").write_text(text)
    refuse(match, root)


def test_a_table_that_is_no_table_is_told(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("1.png", "2.png")
    (tmp_path / "a.csv").write_bytes(b"file,mood\n1.png,\x81\n")  # neither UTF-8 nor Windows-1252
    refuse("a.csv cannot be read as UTF-8.*save it as UTF-8", root, tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_text("text")
    refuse("a.parquet is not readable Parquet", root, tmp_path / "a.parquet")
    refuse("b.csv does not exist", root, tmp_path / "b.csv")


def test_a_column_of_measurements_is_no_label(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder("0.png", "1.png", "2.png")
    (root / "labels.csv").write_text("file_name,weight\n0.png,61.2\n1.png,61.3\n2.png,70.8")
    monkeypatch.setattr(classes_module, "MAX_CLASSES", 2)
    refuse("'weight' has 3 different values", root, labels=("weight",))
    (root / "labels.csv").write_text("file_name,weight,mood\n0.png,61.2,a\n1.png,61.3,b\n2.png,70.8,a")
    source = opened(root)  # nothing was asked for by name: what cannot be a label is left out
    assert (source.labels, source.notes) == (
        ("mood",),
        (
            "not taken as labels, because they identify single images: weight (3 values); "
            "ingest.bins divides numbers into classes",
        ),
    )
    assert labels_of(source.samples()) == {"0.png": {"mood": "a"}, "1.png": {"mood": "b"}, "2.png": {"mood": "a"}}


def test_tables_are_read_within_limits(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder("1.png", "2.png")
    (root / "labels.csv").write_text("file_name,mood\n1.png,a\n2.png,b\n")
    (root / "labels.csv").rename(tmp_path / "private.csv")
    (root / "labels.csv").symlink_to("../private.csv")
    refuse("labels.csv cannot be read: a link that leads out of the folder", root)
    assert opened(root, labels=()).count == 2  # not looked at
    assert opened(root, root / "labels.csv").labels == ("mood",)  # named by the user
    (root / "labels.csv").unlink()
    (root / "labels.csv").symlink_to("gone.csv")
    refuse("labels.csv cannot be read: a link to nothing", root)
    monkeypatch.setattr("faceforge.data.sources.files.MAX_FILE_BYTES", 10)
    refuse("private.csv cannot be read: more than", root, tmp_path / "private.csv")
