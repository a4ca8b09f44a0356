"""The one image-set format: Parquet shards per split, and `dataset.json` beside them.

Shards are named as the Hugging Face convention names splits (`train-00000-of-00002.parquet`,
`holdout-00000-of-00001.parquet`). Columns: `image` (struct of `bytes`, PNG, and `path`), one string
column per label, `sha256` (of the pixels), `source`. pandas, pyarrow and
`datasets.load_dataset("parquet", data_files=...)` read them without our help.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from faceforge.data.info import (
    FORMAT_VERSION,
    LISTED_AT_MOST,
    SPLITS,
    DatasetInfo,
    Duplicate,
    Reject,
    Split,
    SplitCounts,
    Statistics,
    content_digest,
    versions,
)
from faceforge.data.pixels import Encoded, Pixels, encode, from_bytes, workers
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder

__all__ = [
    "FORMAT_VERSION",
    "SPLITS",
    "DatasetInfo",
    "ImageSet",
    "ImageSetWriter",
    "Record",
    "Split",
    "natural_order",
    "write_image_set",
]

INFO_FILE = "dataset.json"
RESERVED_COLUMNS = frozenset({"image", "sha256", "source"})
SHARD_BYTES = 256 * 2**20
ROWS_PER_GROUP = 1000


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
            raise FaceForgeError(f"{file} is damaged ({str(error).splitlines()[0]}); ingest again") from None
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

    def load(self, split: Split, labels: Sequence[str] | None = None) -> tuple[Pixels, NDArray[np.int32]]:
        """All images of a split in memory.

        Args:
            split: `train` or `holdout`.
            labels: label columns wanted, in that order; None = all, () = none.

        Returns:
            images uint8 (N, H, W, C), and codes int32 (N, columns): positions in `info.labels[column]`.
        """
        columns = self.label_columns(labels)
        codes = [{name: code for code, name in enumerate(self.info.labels[column])} for column in columns]
        size, channels, total = self.info.image_size, self.info.channels, self.info.counts[split].total
        images = np.empty((total, size, size, channels), np.uint8)
        found = np.empty((total, len(columns)), np.int32)

        def decode(start: int, rows: list[bytes]) -> None:
            for place, row in enumerate(rows, start):
                images[place] = from_bytes(row, channels)

        row, jobs = 0, []
        try:
            with ThreadPoolExecutor(workers()) as pool:
                for batch in self._batches(split, ["image", *columns]):
                    for place, column in enumerate(columns):
                        values = batch.column(column).to_pylist()
                        found[row : row + len(values), place] = [codes[place][value] for value in values]
                    jobs.append(pool.submit(decode, row, batch.column("image").field("bytes").to_pylist()))
                    row += batch.num_rows
                for job in jobs:
                    job.result()
        except (KeyError, ValueError, IndexError, OSError, pa.ArrowException) as error:
            raise self._damaged(split, str(error)) from None
        if row != total:
            raise self._damaged(split, f"{row:,} rows where dataset.json counts {total:,}")
        return images, found

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

    def _batches(self, split: Split, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for shard in self.shards(split):
            with pq.ParquetFile(shard) as file:
                yield from file.iter_batches(batch_size=256, columns=columns)

    def _damaged(self, split: Split, why: str) -> FaceForgeError:
        detail = why.splitlines()[0] if why else "unreadable"
        return FaceForgeError(f"the {split} split of image set {self.root} is damaged ({detail}); ingest again")


class ImageSetWriter:
    """Writes an image set row by row into a folder that the caller publishes when all is well (see `atomic_folder`).

    Args:
        folder: an existing, empty folder.
        source: name of the source, stored in every row.
        image_size: edge of the images.
        channels: 1 or 3.
        columns: names of the label columns.
        vocabularies: classes whose order is known beforehand; classes met in the rows are added in natural order.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: str,
        image_size: int,
        channels: int,
        columns: Sequence[str],
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        if clash := RESERVED_COLUMNS.intersection(columns):
            raise FaceForgeError(f"a label column cannot be called {sorted(clash)[0]!r}; rename it in the source")
        self._folder, self._source, self._size, self._channels = folder, source, image_size, channels
        self._columns = tuple(columns)
        self._known = {column: list((vocabularies or {}).get(column, ())) for column in self._columns}
        self._schema = _schema(self._columns)
        self._rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._open: dict[str, pq.ParquetWriter] = {}
        self._shards: dict[str, list[Path]] = {split: [] for split in SPLITS}
        self._bytes = dict.fromkeys(SPLITS, 0)
        self._lines: dict[str, list[str]] = {split: [] for split in SPLITS}
        self._counts: dict[str, dict[str, dict[str, int]]] = {s: {c: {} for c in self._columns} for s in SPLITS}
        self._sums = [0] * channels
        self._squares = [0] * channels
        self._moments = 0

    def add(self, split: Split, image: Encoded, path: str, labels: Mapping[str, str], source: str = "") -> None:
        """One image; `path` is where it came from, `source` overrides the set's."""
        row = {"image": {"bytes": image.png, "path": path}, **labels, "sha256": image.sha256}
        self._rows[split].append({**row, "source": source or self._source})
        self._bytes[split] += len(image.png)
        self._count(split, image.sha256, labels)
        if split == "train":
            self._moments += 1
            self._sums = [a + b for a, b in zip(self._sums, image.sums, strict=True)]
            self._squares = [a + b for a, b in zip(self._squares, image.squares, strict=True)]
        if len(self._rows[split]) >= ROWS_PER_GROUP:
            self._flush(split)

    def copy_split(self, parent: ImageSet, split: Split) -> None:
        """Takes over a whole split of another set, byte for byte."""
        for record in parent.records(split, images=False):
            self._count(split, record.sha256, record.labels)
        for shard in parent.shards(split):
            _link_or_copy(shard, self._folder / shard.name)

    def finish(
        self, rejects: Sequence[Reject] = (), duplicates: Sequence[Duplicate] = (), parent_digest: str = ""
    ) -> DatasetInfo:
        """Closes the shards and writes `dataset.json`."""
        for split in SPLITS:
            self._close_shard(split)
            for number, shard in enumerate(self._shards[split]):
                shard.rename(self._folder / f"{split}-{number:05d}-of-{len(self._shards[split]):05d}.parquet")
        labels = {column: self._vocabulary(column) for column in self._columns}
        info = DatasetInfo(
            source=self._source,
            image_size=self._size,
            channels=self._channels,
            labels=labels,
            counts={
                split: SplitCounts(
                    total=len(self._lines[split]),
                    classes={c: {name: self._counts[split][c].get(name, 0) for name in labels[c]} for c in labels},
                )
                for split in SPLITS
            },
            rejects=list(rejects[:LISTED_AT_MOST]),
            reject_count=len(rejects),
            duplicates=list(duplicates[:LISTED_AT_MOST]),
            duplicate_count=len(duplicates),
            statistics=self._statistics(),
            digest=content_digest(f"{split} {line}" for split in SPLITS for line in self._lines[split]),
            holdout_digest=content_digest(self._lines["holdout"]),
            parent_digest=parent_digest,
            created_by=versions(),
        )
        (self._folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
        return info

    def _count(self, split: Split, sha256: str, labels: Mapping[str, str]) -> None:
        self._lines[split].append(json.dumps([sha256, {column: labels[column] for column in sorted(self._columns)}]))
        for column in self._columns:
            counts = self._counts[split][column]
            counts[labels[column]] = counts.get(labels[column], 0) + 1

    def _vocabulary(self, column: str) -> list[str]:
        met = {name for split in SPLITS for name in self._counts[split][column]}
        known = self._known[column]
        return [*known, *natural_order(met.difference(known))]

    def _statistics(self) -> Statistics:
        pixels = max(self._moments * self._size**2, 1)
        means = [total / pixels / 255 for total in self._sums]
        spread = [max(sq / pixels / 255**2 - mean**2, 0) ** 0.5 for sq, mean in zip(self._squares, means, strict=True)]
        return Statistics(mean=means, std=spread)

    def _flush(self, split: Split) -> None:
        if not self._rows[split]:
            return
        if split not in self._open:
            shard = self._folder / f".{split}-{len(self._shards[split]):05d}"
            self._shards[split].append(shard)
            self._open[split] = pq.ParquetWriter(shard, self._schema, compression="none")  # PNG is compressed already
        self._open[split].write_table(pa.Table.from_pylist(self._rows[split], self._schema))
        self._rows[split] = []
        if self._bytes[split] >= SHARD_BYTES:
            self._close_shard(split)

    def _close_shard(self, split: Split) -> None:
        self._flush_rest(split)
        if split in self._open:
            self._open.pop(split).close()
        self._bytes[split] = 0

    def _flush_rest(self, split: Split) -> None:
        if self._rows[split]:
            self._bytes[split] = 0
            self._flush(split)


def write_image_set(
    out: Path,
    splits: Mapping[Split, tuple[Pixels, NDArray[np.integer[Any]]]],
    vocabularies: Mapping[str, Sequence[str]],
    source: str = "arrays",
) -> ImageSet:
    """Writes arrays as an image set, atomically.

    Args:
        out: the folder to make.
        splits: split -> (images uint8 (N, H, W, C), codes int (N, columns)).
        vocabularies: label column -> classes; the order of columns is that of the codes. {} = unlabelled.
        source: stored in every row.
    """
    first = next(iter(splits.values()))[0]
    with atomic_folder(out) as partial:
        writer = ImageSetWriter(
            partial,
            source=source,
            image_size=first.shape[1],
            channels=first.shape[-1],
            columns=tuple(vocabularies),
            vocabularies=vocabularies,
        )
        for split, (images, codes) in splits.items():
            for number, (pixels, row) in enumerate(zip(images, codes, strict=True)):
                labels = {name: vocabularies[name][int(code)] for name, code in zip(vocabularies, row, strict=True)}
                writer.add(split, encode(pixels), f"{split}/{number}", labels)
        info = writer.finish()
    return ImageSet(out, info)


def natural_order(names: Iterable[str]) -> list[str]:
    """Classes sorted as people would: 2 before 10 (and 0-12 before 13-24), words alphabetically."""

    def key(name: str) -> tuple[int, float, str]:
        number = name.split("-")[0].rstrip("+")
        return (0, float(number), name) if number.replace(".", "", 1).isdigit() else (1, 0.0, name)

    return sorted(names, key=key)


def _schema(columns: Sequence[str]) -> pa.Schema:
    """Parquet schema; its metadata lets Hugging Face `datasets` show images as images."""
    fields = [pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    texts = [*columns, "sha256", "source"]
    fields += [pa.field(name, pa.string()) for name in texts]
    features = {"image": {"_type": "Image"}, **{name: {"dtype": "string", "_type": "Value"} for name in texts}}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
