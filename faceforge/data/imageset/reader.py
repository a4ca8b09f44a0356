"""Reads image sets: Parquet shards for each split, and `dataset.json` beside them.

Shards are named as the Hugging Face convention names splits (`train-00000-of-00002.parquet`,
`holdout-00000-of-00001.parquet`). Columns: `image` (struct of `bytes`, PNG, and `path`), one string
column per label, `sha256` (of the pixels), `source`. pandas, pyarrow and
`datasets.load_dataset("parquet", data_files=...)` read them as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from faceforge.data.imageset.info import FORMAT_VERSION, INFO_FILE, SPLITS, DatasetInfo, Split
from faceforge.data.pixels import Pixels, from_bytes, workers
from faceforge.errors import FaceForgeError, first_line

__all__ = [
    "FORMAT_VERSION",
    "SPLITS",
    "DatasetInfo",
    "ImageSet",
    "Record",
    "Split",
]


@dataclass(frozen=True)
class Record:
    """One row: encoded image, its path in the source, labels by column, SHA-256 of the pixels, name of the source."""

    image: bytes
    path: str
    labels: dict[str, str]
    sha256: str
    source: str


class ImageSet:
    """An image set on disk.

    Attributes:
        root: its folder.
        info: its `dataset.json`.
    """

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self.root, self.info = root, info

    @classmethod
    def open(cls, path: Path | str) -> ImageSet:
        """Opens the image set in a folder by reading its `dataset.json`.

        Raises:
            FaceForgeError: the folder is missing, is not an image set, or has another format version.
        """
        root = Path(path)
        file = root / INFO_FILE
        if not file.is_file():
            fault = "is not an image set (no dataset.json)" if root.exists() else "does not exist"
            raise FaceForgeError(f"image set {root} {fault}; make one with `faceforge ingest SOURCE --out {root}`")
        try:
            content = json.loads(file.read_text())
            version = content.get("format_version")
            if version is None:
                raise FaceForgeError(f"{file} was written by another program; `faceforge ingest {root}` may read it")
            if version != FORMAT_VERSION:
                raise FaceForgeError(
                    f"image set {root} has format {version}, this faceforge reads {FORMAT_VERSION}; ingest again"
                )
            info = DatasetInfo.model_validate(content)
        except (ValueError, AttributeError, ValidationError) as error:
            raise FaceForgeError(f"{file} is damaged ({first_line(error)}); ingest again") from None
        return cls(root, info)

    def shards(self, split: Split) -> list[Path]:
        """The Parquet files of a split, in order.

        Raises:
            FaceForgeError: some are missing.
        """
        shards = sorted(self.root.glob(f"{split}-*-of-*.parquet"))
        count = int(shards[0].stem.rsplit("-", 1)[-1]) if shards else 0
        if len(shards) != count or (self.info.counts[split].total > 0 and not shards):
            raise FaceForgeError(f"image set {self.root} lacks shards of its {split} split; ingest again")
        return shards

    def label_columns(self, labels: Sequence[str] | None = None) -> tuple[str, ...]:
        """The label columns asked for, or all (None).

        Raises:
            FaceForgeError: a column does not exist; the message lists those that do.
        """
        known = tuple(self.info.labels)
        if labels is None:
            return known
        if missing := [name for name in labels if name not in known]:
            columns = f"it has {', '.join(known)}" if known else "it has none"
            raise FaceForgeError(f"image set {self.root} has no label column {missing[0]!r}; {columns}")
        return tuple(labels)

    def load(
        self, split: Split, labels: Sequence[str] | None = None, rows: NDArray[np.int64] | None = None
    ) -> tuple[Pixels, NDArray[np.int32]]:
        """Decodes images of a split into memory.

        Args:
            split: `train` or `holdout`.
            labels: label columns, in the order of the result; None = all, () = none.
            rows: row numbers, ascending; None = all. Row groups without any of them are not read.

        Returns:
            images uint8 (N, H, W, C), and class codes int32 (N, columns): positions in `info.labels[column]`.
        """
        codes = self.codes(split, labels)
        codes = codes if rows is None else codes[rows]
        size, channels = self.info.image_size, self.info.channels
        images = np.empty((len(codes), size, size, channels), np.uint8)

        def decode(start: int, rows: list[bytes]) -> None:
            for place, row in enumerate(rows, start):
                images[place] = from_bytes(row, channels)

        row, jobs = 0, []
        try:
            with ThreadPoolExecutor(workers()) as pool:
                for batch in self._batches(split, ["image.bytes"], rows):
                    jobs.append(pool.submit(decode, row, batch.column("image").field("bytes").to_pylist()))
                    row += batch.num_rows
                for job in jobs:
                    job.result()
        except (KeyError, ValueError, IndexError, OSError, pa.ArrowException) as error:
            raise self._damaged(split, str(error)) from None
        return images, codes

    def codes(self, split: Split, labels: Sequence[str] | None = None) -> NDArray[np.int32]:
        """Class codes of all images of a split, int32 (N, columns), without reading the images; see `load`."""
        columns = self.label_columns(labels)
        total, row = self.info.counts[split].total, 0
        codes = np.empty((total, len(columns)), np.int32)
        classes = [pa.array(self.info.labels[column], pa.string()) for column in columns]
        try:
            for batch in self._batches(split, list(columns) or ["sha256"]):
                for place, column in enumerate(columns):
                    positions = pc.index_in(batch.column(column), classes[place])
                    if positions.null_count:
                        raise KeyError(f"a class of {column!r} that dataset.json does not list")
                    codes[row : row + batch.num_rows, place] = positions
                row += batch.num_rows
        except (KeyError, ValueError, OSError, pa.ArrowException) as error:
            raise self._damaged(split, str(error)) from None
        if row != total:
            raise self._damaged(split, f"{row:,} rows where dataset.json counts {total:,}")
        return codes

    def records(self, split: Split, images: bool = True) -> Iterator[Record]:
        """Streams the rows of a split; with `images=False` image bytes are not read and are empty."""
        columns = list(self.info.labels)
        fields = ["image" if images else "image.path", "sha256", "source", *columns]
        try:
            for batch in self._batches(split, fields):
                for row in batch.to_pylist():
                    labels = {column: row[column] for column in columns}
                    image = row["image"]
                    yield Record(image.get("bytes", b""), image["path"], labels, row["sha256"], row["source"])
        except (KeyError, OSError, pa.ArrowException) as error:
            raise self._damaged(split, str(error)) from None

    def _batches(
        self, split: Split, columns: list[str], rows: NDArray[np.int64] | None = None
    ) -> Iterator[pa.RecordBatch]:
        start = 0
        for shard in self.shards(split):
            with pq.ParquetFile(shard) as file:
                if rows is None:
                    yield from file.iter_batches(batch_size=256, columns=columns)
                    continue
                for group in range(file.num_row_groups):
                    stop = start + file.metadata.row_group(group).num_rows
                    if len(chosen := rows[slice(*np.searchsorted(rows, (start, stop)))]):
                        yield from file.read_row_group(group, columns).take(chosen - start).to_batches()
                    start = stop

    def _damaged(self, split: Split, why: str) -> FaceForgeError:
        detail = first_line(why) or "unreadable"
        return FaceForgeError(f"the {split} split of image set {self.root} is damaged ({detail}); ingest again")
