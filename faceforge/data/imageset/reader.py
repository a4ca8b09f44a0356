"""The one image-set format: Parquet shards per split, and `dataset.json` beside them.

Shards are named as the Hugging Face convention names splits (`train-00000-of-00002.parquet`,
`holdout-00000-of-00001.parquet`). Columns: `image` (struct of `bytes`, PNG, and `path`), one string
column per label, `sha256` (of the pixels), `source`. pandas, pyarrow and
`datasets.load_dataset("parquet", data_files=...)` read them without our help.
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
    """One row: encoded image, its path in the source, labels by column, digest of the pixels, name of the source."""

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
        """Reads `dataset.json`.

        Raises:
            FaceForgeError: the folder is missing, is no image set, or is of another format version.
        """
        root = Path(path)
        file = root / INFO_FILE
        if not file.is_file():
            fault = "is not an image set (no dataset.json)" if root.exists() else "does not exist"
            raise FaceForgeError(f"image set {root} {fault}; make one with `faceforge ingest SOURCE --out {root}`")
        try:
            content = json.loads(file.read_text())
            version = content.get("format_version")
            if version != FORMAT_VERSION:
                raise FaceForgeError(
                    f"image set {root} has format {version}, this faceforge reads {FORMAT_VERSION}; ingest again"
                )
            info = DatasetInfo.model_validate(content)
        except (ValueError, AttributeError, ValidationError) as error:
            raise FaceForgeError(f"{file} is damaged ({first_line(error)}); ingest again") from None
        return cls(root, info)

    def shards(self, split: Split) -> list[Path]:
        """The Parquet files of a split, in order; a FaceForgeError if some are missing."""
        found = sorted(self.root.glob(f"{split}-*-of-*.parquet"))
        wanted = int(found[0].stem.rsplit("-", 1)[-1]) if found else 0
        if len(found) != wanted or (self.info.counts[split].total > 0 and not found):
            raise FaceForgeError(f"image set {self.root} lacks shards of its {split} split; ingest again")
        return found

    def label_columns(self, labels: Sequence[str] | None = None) -> tuple[str, ...]:
        """The wanted columns (None = all); a FaceForgeError names those there are when one is unknown."""
        known = tuple(self.info.labels)
        if labels is None:
            return known
        if missing := [name for name in labels if name not in known]:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise FaceForgeError(f"image set {self.root} has no label column {missing[0]!r}; {there}")
        return tuple(labels)

    def load(
        self, split: Split, labels: Sequence[str] | None = None, rows: NDArray[np.int64] | None = None
    ) -> tuple[Pixels, NDArray[np.int32]]:
        """Images of a split in memory.

        Args:
            split: `train` or `holdout`.
            labels: label columns wanted, in that order; None = all, () = none.
            rows: numbers of the images wanted, ascending; None = all. What lies far from them stays unread.

        Returns:
            images uint8 (N, H, W, C), and codes int32 (N, columns): positions in `info.labels[column]`.
        """
        found = self.codes(split, labels)
        found = found if rows is None else found[rows]
        size, channels = self.info.image_size, self.info.channels
        images = np.empty((len(found), size, size, channels), np.uint8)

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
        return images, found

    def codes(self, split: Split, labels: Sequence[str] | None = None) -> NDArray[np.int32]:
        """The classes of all images of a split, without the images: the second half of what `load` returns."""
        columns = self.label_columns(labels)
        total, row = self.info.counts[split].total, 0
        found = np.empty((total, len(columns)), np.int32)
        classes = [pa.array(self.info.labels[column], pa.string()) for column in columns]
        try:
            for batch in self._batches(split, list(columns) or ["sha256"]):
                for place, column in enumerate(columns):
                    codes = pc.index_in(batch.column(column), classes[place])
                    if codes.null_count:
                        raise KeyError(f"a class of {column!r} that dataset.json does not list")
                    found[row : row + batch.num_rows, place] = codes
                row += batch.num_rows
        except (KeyError, ValueError, OSError, pa.ArrowException) as error:
            raise self._damaged(split, str(error)) from None
        if row != total:
            raise self._damaged(split, f"{row:,} rows where dataset.json counts {total:,}")
        return found

    def records(self, split: Split, images: bool = True) -> Iterator[Record]:
        """The rows of a split, streaming; with `images=False` the image bytes stay unread (empty)."""
        columns = list(self.info.labels)
        wanted = ["image" if images else "image.path", "sha256", "source", *columns]
        try:
            for batch in self._batches(split, wanted):
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
                    if len(wanted := rows[slice(*np.searchsorted(rows, (start, stop)))]):
                        yield from file.read_row_group(group, columns).take(wanted - start).to_batches()
                    start = stop

    def _damaged(self, split: Split, why: str) -> FaceForgeError:
        detail = first_line(why) or "unreadable"
        return FaceForgeError(f"the {split} split of image set {self.root} is damaged ({detail}); ingest again")
