from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceforge.config import IngestConfig
from faceforge.data import samples as samples_module
from faceforge.data.pixels import to_png
from faceforge.data.sources import Sample, open_source
from faceforge.errors import FaceForgeError
from tests.data.conftest import MakeFolder, noise


def settings(**fields: Any) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, **fields})


def listing(spec: Path | str, labels_csv: Path | str = "", **fields: Any) -> list[Sample]:
    return list(open_source(str(spec), settings(**fields), str(labels_csv)).samples())


def labels_of(samples: list[Sample]) -> dict[str, dict[str, str | None]]:
    return {sample.path: sample.labels for sample in samples}


def parquet(file: Path, rows: int = 4, struct: bool = True, **columns: Any) -> Path:
    images: list[Any] = [to_png(noise(number)) for number in range(rows)]
    if struct:
        images = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(images)]
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"image": images, **columns}).to_parquet(file)
    return file


def test_toyfaces_are_labelled_pixels() -> None:
    source = open_source("toyfaces", settings(limit=50))
    samples = list(source.samples())
    assert (source.name, source.labels, source.count, len(samples)) == ("toyfaces", ("expression",), 50, 50)
    assert {str(sample.labels["expression"]) for sample in samples} == {"neutral", "smiling", "glasses"}
    pixels = samples[0].read()
    assert not isinstance(pixels, bytes)
    assert pixels.shape == (32, 32, 3)
    assert listing("toyfaces", limit=9, labels=())[0].labels == {}


def test_toyfaces_can_be_uneven() -> None:
    samples = listing("toyfaces:neutral=9,glasses=1", limit=500)
    found = [sample.labels["expression"] for sample in samples]
    assert 20 < found.count("glasses") < 90
    assert "smiling" not in found


def test_sub_folders_are_classes(make_folder: MakeFolder) -> None:
    root = make_folder("cat/1.png", "cat/deep/2.JPG", "dog/3.png", "4.png", ".hidden/5.png", "dog/._6.png")
    (root / "cat" / "notes.txt").write_text("no image")
    samples = listing(root)
    assert [sample.path for sample in samples] == ["4.png", "cat/1.png", "cat/deep/2.JPG", "dog/3.png"]
    assert "beside the class folders" in samples[0].problem
    assert [sample.labels["label"] for sample in samples[1:]] == ["cat", "cat", "dog"]
    assert samples[1].read() == (root / "cat" / "1.png").read_bytes()


def test_a_flat_folder_has_no_labels(make_folder: MakeFolder) -> None:
    samples = listing(make_folder("b.png", "a.png"))
    assert labels_of(samples) == {"a.png": {}, "b.png": {}}


def test_sub_folders_can_be_ignored(make_folder: MakeFolder) -> None:
    assert labels_of(listing(make_folder("only/1.png", "2.png"), labels=())) == {"2.png": {}, "only/1.png": {}}


COMMAS = "age,file_name,sex\n7,a.png,f\n,b.png,m\n8,gone.png,m\n9,d.png,f\n"


@pytest.mark.parametrize("text", [COMMAS, COMMAS.replace(",", ";").replace("\n", "\r\n")])
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
    assert labels_of(listing(root, file, labels=("sex",)))["a.png"] == {"sex": "f"}


def test_parquet_files_and_folders(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "data" / "train-0.parquet", label=[0, 1, 0, 1], age=[1.0, 2.0, None, 4.0])
    parquet(tmp_path / "set" / "data" / "train-1.parquet", rows=2, label=[2, 1], age=[5.0, 1.0])
    assert [sample.labels["label"] for sample in listing(tmp_path / "set")] == ["0", "1", "0", "1", "2", "1"]
    ages = listing(tmp_path / "set" / "data" / "train-0.parquet", labels=("age",))
    assert [sample.labels["age"] for sample in ages] == ["1", "2", None, "4"]
    assert ages[3].read() == to_png(noise(3))
    assert ages[3].path == "3.png"


def test_parquet_of_bare_bytes_without_labels(tmp_path: Path) -> None:
    samples = listing(parquet(tmp_path / "a.parquet", struct=False, mood=["x"] * 4))
    assert [(sample.path, sample.labels) for sample in samples][:2] == [("row 0", {}), ("row 1", {})]
    assert samples[1].read() == to_png(noise(1))


def test_named_classes_of_hugging_face_files_get_their_names(tmp_path: Path) -> None:
    table = pq.read_table(parquet(tmp_path / "a.parquet", label=[0, 1, 1, 0]))
    features = {"image": {"_type": "Image"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b.parquet")
    assert [sample.labels["label"] for sample in listing(tmp_path / "b.parquet")] == ["no", "yes", "yes", "no"]


def test_rows_without_bytes_are_problems(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": None, "path": "elsewhere.png"}, None], kind)
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    assert [bool(sample.problem) for sample in listing(tmp_path / "a.parquet")] == [True, True]


def test_a_limit_takes_from_everywhere(classes_folder: Path) -> None:
    samples = listing(classes_folder, limit=10)
    assert len(samples) == 10
    assert {sample.labels["label"] for sample in samples} == {"cat", "dog"}
    assert [sample.path for sample in samples] == sorted(sample.path for sample in samples)


def test_fingerprints_follow_the_files(make_folder: MakeFolder) -> None:
    root = make_folder("a.png", "b.png")
    before = open_source(str(root), settings()).fingerprint()
    assert open_source(str(root), settings()).fingerprint() == before
    make_folder("c.png", first_seed=9)
    assert open_source(str(root), settings()).fingerprint() != before


def refuse(match: str, spec: Path | str, labels_csv: Path | str = "", **fields: Any) -> None:
    with pytest.raises(FaceForgeError, match=match) as caught:
        open_source(str(spec), settings(**fields), str(labels_csv))
    assert "\n" not in str(caught.value)


def test_mistakes_with_folders_are_told(make_folder: MakeFolder, tmp_path: Path) -> None:
    refuse("does not exist", tmp_path / "none")
    refuse("does not exist", "")
    (tmp_path / "empty").mkdir()
    refuse("holds no images", tmp_path / "empty")
    refuse("only the class 'cat'.*at least two", make_folder("cat/1.png", "cat/2.png", name="one"))
    refuse("names 'mood'.*it has label", make_folder("a/1.png", "b/2.png", name="two"), labels=("mood",))
    flat = make_folder("1.png", "2.png", name="flat")
    refuse("names 'mood'.*it has none", flat, labels=("mood",))
    refuse("not Parquet", flat / "1.png")
    refuse("labels.csv does not exist", flat, flat / "labels.csv")
    refuse("goes with a folder", "toyfaces", flat / "labels.csv")


@pytest.mark.parametrize(
    "text, match",
    [
        ("", "needs a header"),
        ("file_name\n1.png\n", "needs a header"),
        ("file_name,mood\n", "no rows"),
        ("file_name,mood\n1.png,a\n1.png,b\n", "lists 1.png twice"),
        ("file_name,mood\n1.png,a\n2.png,a\n", "only the class 'a'"),
        ("file_name,mood\n1.png,\n2.png,\n", "no values"),
        ("file_name,source\n1.png,a\n2.png,b\n", "cannot be called 'source'"),
    ],
)
def test_mistakes_in_a_csv_are_told(make_folder: MakeFolder, text: str, match: str) -> None:
    root = make_folder("1.png", "2.png")
    (root / "labels.csv").write_text(text)
    refuse(match, root)


def test_a_column_of_measurements_is_no_label(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder("0.png", "1.png", "2.png")
    (root / "labels.csv").write_text("file_name,weight\n0.png,61.2\n1.png,61.3\n2.png,70.8")
    monkeypatch.setattr(samples_module, "MAX_CLASSES", 2)
    refuse("'weight' has 3 different values", root)


def test_mistakes_with_parquet_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    refuse("not a readable Parquet file", tmp_path / "text.parquet")
    pd.DataFrame({"age": [1, 2]}).to_parquet(tmp_path / "table.parquet")
    refuse("no column of image bytes.*it has age", tmp_path / "table.parquet")
    whole = parquet(tmp_path / "whole.parquet")
    pq.write_table(pq.read_table(whole).slice(0, 0), tmp_path / "none.parquet")
    refuse("no rows", tmp_path / "none.parquet")
    refuse("names 'sex'.*it has age", parquet(tmp_path / "a.parquet", age=[1, 2, 3, 4]), labels=("sex",))
    refuse("only the class '1'", parquet(tmp_path / "b.parquet", label=[1] * 4))
    parquet(tmp_path / "mixed" / "a.parquet", label=[0, 1, 2, 3])
    parquet(tmp_path / "mixed" / "b.parquet")
    refuse("b.parquet lacks the column 'label'", tmp_path / "mixed")


@pytest.mark.parametrize(
    "spec, fields, match",
    [
        ("toyfaces", {"labels": ("mood",)}, "names 'mood'.*it has expression"),
        ("toyfaces:neutral=1", {"limit": 20}, "only the class 'neutral'"),
        ("toyfaces:happy=1", {}, "no class 'happy'"),
        ("toyfaces:nonsense", {}, "not understood"),
    ],
)
def test_mistakes_with_toyfaces_are_told(spec: str, fields: dict[str, Any], match: str) -> None:
    refuse(match, spec, **fields)
