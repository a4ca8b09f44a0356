from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceforge.data.sources import parquet as parquet_source
from faceforge.data.sources import parquet_file
from faceforge.data.sources.columns import Column
from tests.data.sources.conftest import labels_of, listing, opened, parquet, picture, refuse


def test_files_and_folders(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "data" / "a-0.parquet", label=[0, 1, 0, 1], age=[1.0, 2.0, None, 4.0])
    parquet(tmp_path / "set" / "data" / "a-1.parquet", rows=2, label=[2, 1], age=[5.0, 1.0])
    assert [sample.labels["label"] for sample in listing(tmp_path / "set")] == ["0", "1", "0", "1", "2", "1"]
    ages = listing(tmp_path / "set" / "data" / "a-0.parquet", labels=("age",))
    assert [sample.labels["age"] for sample in ages] == ["1", "2", None, "4"]
    assert pickle.loads(pickle.dumps(ages[3])).read() == picture(3)
    assert ages[3].path == "3.png"
    assert set(opened(tmp_path / "set").stamps()) == {"data/a-0.parquet", "data/a-1.parquet"}


def test_bare_bytes_without_labels(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", struct=False, mood=["x", "y", "x", "y"])
    samples = listing(file)
    assert [(sample.path, sample.labels) for sample in samples][:2] == [("row 0", {}), ("row 1", {})]
    assert samples[1].read() == picture(1)
    assert opened(file).notes == ("ingest.labels can name more columns: mood",)
    assert opened(file, labels=()).notes == ()


def test_ranges_read_only_their_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pq.read_table(parquet(tmp_path / "whole.parquet", rows=30, number=list(range(30))))
    pq.write_table(whole, tmp_path / "groups.parquet", row_group_size=10)
    source = opened(tmp_path / "groups.parquet", labels=("number",), min_class=1)
    read: list[list[int]] = []
    original = pq.ParquetFile.iter_batches

    def spy(self: Any, *args: Any, row_groups: list[int], **others: Any) -> Any:
        read.append(row_groups)
        return original(self, *args, row_groups=row_groups, **others)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    assert [sample.labels["number"] for sample in source.samples(12, 15)] == ["12", "13", "14"]
    assert read == [[1]]


def test_a_file_is_opened_once_and_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [np.random.default_rng(n).bytes(100_000) for n in range(60)]
    table = pa.table({"image": images, "label": [n % 2 for n in range(60)]})
    options = {"row_group_size": 20, "write_batch_size": 1, "data_page_size": 100_000, "use_dictionary": False}
    pq.write_table(table, tmp_path / "a.parquet", **options)
    source = opened(tmp_path / "a.parquet")
    opening: list[str] = []
    taken: list[int] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size)
            taken.append(len(data))
            return data

    def watched(self: Any) -> Any:
        opening.append(self.path)
        return Watched(self.address)

    monkeypatch.setattr(parquet_source.Remote, "open", watched)
    monkeypatch.setattr(parquet_file, "_BUFFER", 200_000)
    assert [sample.read() for sample in source.samples()] == images
    assert opening == ["a.parquet"]
    assert max(taken) < 500_000 < sum(taken)  # a row group has two million


def test_too_large_and_badly_named_images_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_source, "MAX_FILE_BYTES", 2**20)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": bytes(size), "path": f"\x1b[2J{size}\n"} for size in (10, 2**20, 2**20 + 1)]
    pq.write_table(pa.table({"image": pa.array(rows, kind)}), tmp_path / "a.parquet")
    samples = listing(tmp_path / "a.parquet")
    assert [sample.path for sample in samples] == ["\\x1b[2J10\\n", "\\x1b[2J1048576\\n", "row 2"]
    assert [sample.problem for sample in samples] == ["", "", "more than 1 MB"]


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = parquet(tmp_path / "private.parquet")
    root = parquet(tmp_path / "set" / "a.parquet").parent
    (root / "b.parquet").symlink_to(root / "a.parquet")
    assert len(listing(root)) == 8
    (root / "c.parquet").symlink_to(outside)
    refuse("c.parquet in .*set: a link that leads out", root)


def test_a_column_of_names_is_left_out_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = parquet(tmp_path / "a.parquet", label=["ann", "bob", "cat", "dan"])
    monkeypatch.setattr("faceforge.data.sources.classes.MAX_CLASSES", 3)
    refuse("'label' has 4 different values", file, labels=("label",))
    assert labels_of(listing(file)) == {f"{n}.png": {} for n in range(4)}
    assert opened(file).notes == ("not taken as labels, because they have too many values: label (4)",)


def test_members_of_lists_are_found_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hot = [[n >> place & 1 for place in range(8)] for n in range(4, 254)]
    file = parquet(tmp_path / "a.parquet", rows=250, hot=hot)
    passes: list[Any] = []
    original = parquet_source.ParquetSource._batches

    def counted(self: Any, columns: Any, files: Any = None) -> Any:
        passes.append(columns)
        return original(self, columns, files)

    monkeypatch.setattr(parquet_source.ParquetSource, "_batches", counted)
    source = opened(file, labels=("hot",))
    assert len(passes) == 2  # for the names of the members, and for their classes
    assert [list(sample.labels.values()) for sample in source.samples()] == [[str(n) for n in row] for row in hot]


def with_features(file: Path, features: dict[str, Any]) -> Path:
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pq.read_table(file).replace_schema_metadata(metadata), file)
    return file


def test_named_classes_of_hugging_face_files_get_their_names(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", label=[0, 1, 1, -1], tags=[[0], [], [1, 0], None])
    names = {"names": ["no", "yes"], "_type": "ClassLabel"}
    with_features(file, {"image": {"_type": "Image"}, "label": names, "tags": {"feature": names, "_type": "List"}})
    source = opened(file)
    assert [sample.labels["label"] for sample in source.samples()] == ["no", "yes", "yes", None]
    assert source.vocabularies == {"label": ["no", "yes"]}
    assert [sample.labels for sample in listing(file, labels=("tags",))] == [
        {"tags_no": "1", "tags_yes": "0"},
        {"tags_no": "0", "tags_yes": "0"},
        {"tags_no": "1", "tags_yes": "1"},
        {"tags_no": None, "tags_yes": None},
    ]


def test_files_called_as_splits_are_official_splits(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train-00000-of-00001.parquet", label=[0, 1, 0, 1])
    parquet(tmp_path / "set" / "test-00000-of-00001.parquet", rows=2, label=[0, 1])
    assert [sample.split for sample in listing(tmp_path / "set")] == ["holdout"] * 2 + ["train"] * 4
    alone = opened(tmp_path / "set" / "train-00000-of-00001.parquet")
    assert {sample.split for sample in alone.samples()} == {None}


def test_kinds_of_labels(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "a.parquet",
        glad=[True, False, None, True],
        count=[3, 4, 3, 4],
        part=pd.Series([1.0, None, 2.0, 1.0]),
        mood=["a", " b ", "", None],
        colour=pd.Categorical(["red", "blue", "red", "red"]),
        face=[{"male": True, "eyes": 2}, {"male": False, "eyes": 1}, None, {"male": None, "eyes": 2}],
        hot=[[0, 1, 1], [1, 0, 1], [0, 0, 1], None],
        tags=[["hat", "tie"], [], ["tie"], None],
    )
    assert opened(file).notes[0].endswith("glad, count, part, mood, colour, male, eyes, hot, tags")
    wanted = ("glad", "count", "part", "mood", "colour", "male", "eyes", "hot_0", "tags_hat")
    rows = [list(sample.labels.values()) for sample in listing(file, labels=wanted)]
    assert rows == [
        ["1", "3", "1", "a", "red", "1", "2", "0", "1"],
        ["0", "4", None, "b", "blue", "0", "1", "1", "0"],
        [None, "3", "2", None, "red", None, None, "0", "0"],
        ["1", "4", "1", None, "red", None, "2", None, None],
    ]
    filled = listing(file, labels=("mood",), missing="class")
    assert [sample.labels["mood"] for sample in filled] == ["a", "b", "unknown", "unknown"]
    refuse("'hot_2' has only the class '1'", file, labels=("hot_2",))
    refuse("names 'tags_wig'.*it has .*tags_hat, tags_tie", file, labels=("tags_wig",))


def test_fields_of_one_name_in_two_structs_keep_apart(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", rows=2, a=[{"x": 1}, {"x": 2}], b=[{"x": 3}, {"x": 4}])
    assert labels_of(listing(file, labels=("a_x", "b_x"))) == {
        "0.png": {"a_x": "1", "b_x": "3"},
        "1.png": {"a_x": "2", "b_x": "4"},
    }


def test_lists_of_words_are_no_labels(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", words=[[f"{n} {m}" for m in range(100)] for n in range(4)])
    refuse("lists in 'words' hold 400 different values", file, labels=("words",))


def test_a_column_reads_rows_of_any_depth() -> None:
    assert Column("x", ("a", "x")).read({"a": {"x": 3.0}}) == "3"
    assert Column("x", ("a", "x")).read({"a": None}) is None
    assert Column("x", ("x",), ("no", "yes")).read({"x": 7}) is None


def test_rows_without_bytes_are_problems(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": None, "path": "elsewhere.png"}, None], kind)
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    assert [bool(sample.problem) for sample in listing(tmp_path / "a.parquet")] == [True, True]


def test_mistakes_with_parquet_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    refuse("text.parquet is not a readable Parquet file", tmp_path / "text.parquet")
    pd.DataFrame({"age": [1, 2]}).to_parquet(tmp_path / "table.parquet")
    refuse("no column of image bytes.*it has age", tmp_path / "table.parquet")
    whole = parquet(tmp_path / "whole.parquet")
    pq.write_table(pq.read_table(whole).slice(0, 0), tmp_path / "none.parquet")
    refuse("no rows", tmp_path / "none.parquet")
    refuse("names 'sex'.*it has age", parquet(tmp_path / "a.parquet", age=[1, 2, 3, 4]), labels=("sex",))
    refuse("only the class '1'", parquet(tmp_path / "b.parquet", label=[1] * 4))
    parquet(tmp_path / "mixed" / "a.parquet", label=[0, 1, 2, 3], hot=[[0, 1], [1, 0], [1, 1], [0, 0]])
    parquet(tmp_path / "mixed" / "b.parquet")
    refuse("b.parquet lacks the column 'label'", tmp_path / "mixed")
    refuse("b.parquet lacks the column 'hot'", tmp_path / "mixed", labels=("hot",))
    refuse("goes with a folder or an archive", whole, whole)
