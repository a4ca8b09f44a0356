"""Small Parquet files that stand for gigabytes are refused, or read in little memory."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceforge.data.sources.parquet_file import MAX_TEXT, batch_rows, open_parquet_file
from faceforge.errors import FaceForgeError
from tests.data.sources.conftest import opened, picture, refuse

IMAGES = [picture(number) for number in range(8)]


def repeated(values: list[Any], rows: int, kind: pa.DataType) -> pa.Array:
    """`rows` values that are stored once each."""
    return pa.DictionaryArray.from_arrays(np.arange(rows, dtype=np.int32) % len(values), pa.array(values, kind))


def write(path: Path, **columns: Any) -> Path:
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd", store_schema=False, dictionary_pagesize_limit=2**30)
    return path


def test_a_long_label_that_is_stored_once_is_refused(tmp_path: Path) -> None:
    labels = repeated(["a" * 40_000, "b" * 40_000], 65_536, pa.string())
    file = write(tmp_path / "a.parquet", image=repeated(IMAGES, 65_536, pa.binary()), label=labels)
    assert file.stat().st_size < 500_000
    refuse("a.parquet: 'label' has a text of 40,000 bytes, which is no class", file)


@pytest.mark.parametrize("nested", [pa.array([["a" * 2000]] * 8), pa.array([{"x": "a" * 2000}] * 8)])
def test_long_labels_in_lists_and_structs_are_refused(tmp_path: Path, nested: pa.Array) -> None:
    file = write(tmp_path / "a.parquet", image=pa.array(IMAGES), tags=nested)
    refuse("has a text of 2,000 bytes", file, labels=("tags",) if pa.types.is_list(nested.type) else ("x",))


def test_texts_up_to_the_limit_are_classes(tmp_path: Path) -> None:
    classes = ["a" * MAX_TEXT, "b"]
    file = write(tmp_path / "a.parquet", image=pa.array(IMAGES), label=repeated(classes, 8, pa.string()))
    assert [sample.labels["label"] for sample in opened(file).samples()] == classes * 4


BOUNDED = """
import resource, sys
from faceforge.config import IngestConfig
from faceforge.data.sources import open_source
source = open_source(sys.argv[1], IngestConfig.model_validate({"labels": ()}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(len(sample.read()) for sample in source.samples()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_image_that_is_stored_once_takes_little_memory(tmp_path: Path) -> None:
    large = IMAGES[0] + bytes(20 * 2**20)
    file = write(tmp_path / "a.parquet", image=repeated([large], 100, pa.binary()))
    assert file.stat().st_size < 50_000
    output = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(file)], check=True, capture_output=True, text=True
    ).stdout
    total, kilobytes = map(int, output.split())
    assert total == 100 * len(large)
    assert kilobytes < 400_000  # all of them would take two million


def test_millions_of_rows_in_fewer_bytes_are_refused(tmp_path: Path) -> None:
    rows = 2**20 + 1
    file = write(tmp_path / "a.parquet", image=repeated([b"x"], rows, pa.binary()), label=pa.array(np.zeros(rows, int)))
    refuse(r"a.parquet has 1,048,577 rows in [\d,]+ bytes", file)


def test_a_list_without_end_is_refused(tmp_path: Path) -> None:
    lists = pa.ListArray.from_arrays([0, *[5_000_000] * 8], pa.array(np.zeros(5_000_000, np.int8)))
    file = write(tmp_path / "a.parquet", image=pa.array(IMAGES), hot=lists)
    refuse("the lists in 'hot.list.element' have 5,000,007 values in all", file, labels=("hot",))


def test_long_lists_are_read_few_at_a_time() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"hot": [[0] * 500] * 10_000}), buffer)
    assert batch_rows(open_parquet_file(buffer, "a")) == 2**20 // 500


@pytest.mark.parametrize("name", ["image", "label"])
def test_columns_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    columns = {"image": pa.array(IMAGES), "label": pa.array(["a", "b"] * 4)}
    table = pa.Table.from_arrays([*columns.values(), columns[name]], names=[*columns, name])
    pq.write_table(table, tmp_path / "a.parquet")
    refuse(f"several columns called '{name}'", tmp_path / "a.parquet")


def test_labels_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    _, offsets, data = pa.array([b"\xff\xfe", b"ok"] * 4, pa.binary()).buffers()
    labels = pa.Array.from_buffers(pa.string(), 8, [None, offsets, data])
    refuse("Invalid UTF8", write(tmp_path / "a.parquet", image=pa.array(IMAGES), label=labels))


def test_metadata_nested_beyond_reason_is_ignored(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array(IMAGES), "label": ["a", "b"] * 4})
    pq.write_table(table.replace_schema_metadata({"huggingface": "[" * 100_000}), tmp_path / "a.parquet")
    assert opened(tmp_path / "a.parquet").labels == ("label",)


def test_a_table_of_labels_has_the_same_limits(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    for number, image in enumerate(IMAGES):
        (tmp_path / "faces" / f"{number}.png").write_bytes(image)
    names = [f"{number}.png" for number in range(8)]
    write(tmp_path / "faces" / "labels.parquet", file_name=names, label=repeated(["a" * 40_000, "b"], 8, pa.string()))
    with pytest.raises(FaceForgeError, match=r"labels.parquet: 'label' has a text of 40,000 bytes"):
        opened(tmp_path / "faces")
