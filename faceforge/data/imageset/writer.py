"""Writes image sets: Parquet shards and `dataset.json`; `faceforge.data.imageset.reader` describes the format."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceforge.data.imageset.digest import ContentDigest
from faceforge.data.imageset.info import (
    INFO_FILE,
    LISTED_AT_MOST,
    RESERVED_COLUMNS,
    SKETCH,
    SPLITS,
    DatasetInfo,
    LeftOut,
    Split,
    SplitCounts,
    is_image_set,
    versions,
)
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.statistics import EDGES, StatisticsBuilder
from faceforge.data.pixels import Encoded, Pixels, encode
from faceforge.data.preprocess.measures import Measures
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder

SHARD_BYTES = 256 * 2**20
ROWS_PER_GROUP = 256  # `Stream` reads a row group at a time


class ImageSetWriter:
    """Writes an image set row by row into a temporary folder, which the caller renames at the end (`atomic_folder`).

    Args:
        folder: an existing, empty folder.
        source: name of the source, stored in every row.
        image_size: edge of the images.
        channels: 1 or 3.
        columns: names of the label columns.
        vocabularies: label column -> classes whose order is known; other classes follow in natural order.
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
        self._waiting: dict[str, list[pa.RecordBatch]] = {split: [] for split in SPLITS}
        self._open: dict[str, pq.ParquetWriter] = {}
        self._shards: dict[str, list[Path]] = {split: [] for split in SPLITS}
        self._bytes = dict.fromkeys(SPLITS, 0)
        self._digest = ContentDigest(self._columns)
        self._counts: dict[str, dict[str, dict[str, int]]] = {s: {c: {} for c in self._columns} for s in SPLITS}
        self._statistics = StatisticsBuilder(channels, image_size)

    @classmethod
    def like(cls, info: DatasetInfo, folder: Path) -> ImageSetWriter:
        """A writer for images derived from the image set `info`: same source, image size and label columns."""
        return cls(
            folder,
            source=info.source,
            image_size=info.image_size,
            channels=info.channels,
            columns=tuple(info.labels),
            vocabularies=info.labels,
        )

    @classmethod
    def of_model(
        cls, folder: Path, *, source: str, image_size: int, channels: int, labels: Mapping[str, Sequence[str]]
    ) -> ImageSetWriter:
        """A writer for images that a model with these label columns and classes generates."""
        return cls(
            folder,
            source=source,
            image_size=image_size,
            channels=channels,
            columns=tuple(labels),
            vocabularies=labels,
        )

    def add(
        self,
        split: Split,
        image: Encoded,
        path: str,
        labels: Mapping[str, str],
        source: str = "",
        measures: Measures | None = None,
    ) -> None:
        """Adds one image.

        Args:
            split: `train` or `holdout`.
            image: encoded pixels.
            path: where the image came from.
            labels: label column -> class.
            source: name of its source, if it is not that of the set.
            measures: what ingest measured; part of the statistics.
        """
        row = {"image": {"bytes": image.png, "path": path}, **labels, "sha256": image.sha256}
        self._rows[split].append({**row, "source": source or self._source})
        self._bytes[split] += len(image.png)
        self._count(split, image.sha256, labels)
        if split == "train":
            self._statistics.add(image, measures)
        if len(self._rows[split]) >= ROWS_PER_GROUP:
            self._flush(split)
        if self._bytes[split] >= SHARD_BYTES:
            self._close_shard(split)

    def add_prepared(self, split: Split, rows: pa.RecordBatch, labels: Sequence[str]) -> None:
        """Adds many images.

        Args:
            split: `train` or `holdout`.
            rows: rows of `Parts.images`.
            labels: the names that the label columns have in them.
        """
        png, digests = rows.column("png"), [digest.hex() for digest in rows.column("sha256").to_pylist()]
        image = pa.StructArray.from_arrays([png, rows.column("path")], fields=list(self._schema.field("image").type))
        texts = [*map(rows.column, labels), pa.array(digests), pa.repeat(self._source, len(digests))]
        self._waiting[split].append(pa.RecordBatch.from_arrays([image, *texts], schema=self._schema))
        self._bytes[split] += png.nbytes
        for digest, *classes in zip(digests, *(text.to_pylist() for text in texts[: len(labels)]), strict=True):
            self._count(split, digest, dict(zip(self._columns, classes, strict=True)))
        if split == "train":
            sums, squares = (_matrix(rows.column(name), self._channels) for name in ("sums", "squares"))
            measures = {name: rows.column(name).to_numpy() for name in EDGES}
            self._statistics.add_many(sums, squares, {**measures, "thumbnail": rows.column("thumbnail").to_pylist()})
        self._flush(split)
        if self._bytes[split] >= SHARD_BYTES:
            self._close_shard(split)

    def copy_split(self, parent: ImageSet, split: Split) -> None:
        """Links or copies all shards of a split of another image set."""
        for record in parent.records(split, images=False):
            self._count(split, record.sha256, record.labels)
        for shard in parent.shards(split):
            link_or_copy(shard, self._folder / shard.name)

    def finish(
        self,
        left_out: LeftOut | None = None,
        parent_digest: str = "",
        drop_unused: bool = False,
        notes: Sequence[str] = (),
    ) -> DatasetInfo:
        """Closes the shards and writes `dataset.json`.

        Args:
            left_out: rejects and duplicates to list.
            parent_digest: digest of the image set that this one was made from.
            drop_unused: leave out classes that no image has.
            notes: warnings about the source.
        """
        for split in SPLITS:
            self._close_shard(split)
            for number, shard in enumerate(self._shards[split]):
                shard.rename(self._folder / f"{split}-{number:05d}-of-{len(self._shards[split]):05d}.parquet")
        labels = {column: self._vocabulary(column, drop_unused) for column in self._columns}
        combinations, distinct = self._digest.combinations(LISTED_AT_MOST) if len(labels) > 1 else ([], 0)
        info = DatasetInfo(
            source=self._source,
            image_size=self._size,
            channels=self._channels,
            labels=labels,
            counts={
                split: SplitCounts(
                    total=self._digest.count(split),
                    classes={c: {name: self._counts[split][c].get(name, 0) for name in labels[c]} for c in labels},
                )
                for split in SPLITS
            },
            combinations=combinations,
            combination_count=distinct,
            **dict(left_out or LeftOut()),
            notes=list(notes),
            statistics=self._statistics.finish(),
            digest=self._digest.digest(),
            holdout_digest=self._digest.split_digest("holdout"),
            holdout_sketch=self._digest.smallest("holdout", SKETCH),
            parent_digest=parent_digest,
            created_by=versions(),
        )
        (self._folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
        return info

    def _count(self, split: Split, sha256: str, labels: Mapping[str, str]) -> None:
        self._digest.add(split, sha256, labels)
        for column in self._columns:
            counts = self._counts[split][column]
            counts[labels[column]] = counts.get(labels[column], 0) + 1

    def _vocabulary(self, column: str, drop_unused: bool) -> list[str]:
        used = {name for split in SPLITS for name in self._counts[split][column]}
        known = [name for name in self._known[column] if name in used or not drop_unused]
        return [*known, *natural_order(used.difference(known))]

    def _flush(self, split: Split, last: bool = False) -> None:
        """Writes complete row groups; with `last`, the rest as a smaller one."""
        if self._rows[split]:
            self._waiting[split].append(pa.RecordBatch.from_pylist(self._rows[split], self._schema))
            self._rows[split] = []
        table = pa.Table.from_batches(self._waiting[split], self._schema)
        rows = table.num_rows if last else table.num_rows // ROWS_PER_GROUP * ROWS_PER_GROUP
        if rows == 0:
            return
        if split not in self._open:
            shard = self._folder / f".{split}-{len(self._shards[split]):05d}"
            self._shards[split].append(shard)
            self._open[split] = pq.ParquetWriter(
                shard,
                self._schema,
                compression="none",  # PNG is compressed already
                use_dictionary=[*self._columns, "source"],
            )
        self._open[split].write_table(table.slice(0, rows), ROWS_PER_GROUP)
        self._waiting[split] = table.slice(rows).to_batches()

    def _close_shard(self, split: Split) -> None:
        self._flush(split, last=True)
        if split in self._open:
            self._open.pop(split).close()
        self._bytes[split] = 0


def write_image_set(
    out: Path,
    splits: Mapping[Split, tuple[Pixels, NDArray[np.integer[Any]]]],
    vocabularies: Mapping[str, Sequence[str]],
    source: str = "arrays",
) -> ImageSet:
    """Writes arrays as an image set.

    Args:
        out: folder of the image set; an image set in it is replaced.
        splits: split -> (images uint8 (N, H, W, C), codes int (N, columns)).
        vocabularies: label column -> classes; columns in the order of the codes. {} = unlabelled.
        source: name of the source, stored in every row.
    """
    check_target(out)
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


def check_target(out: Path) -> None:
    """Checks that an image set can be written to a folder.

    Raises:
        FaceForgeError: it holds files that are not an image set, or it is a link, a mount point or a file.
    """
    if out.is_symlink() or os.path.ismount(out) or out.name in ("", ".."):
        raise FaceForgeError(f"{out} is a link, a mount point or the current folder; name another folder")
    if out.is_dir():
        if any(out.iterdir()) and not is_image_set(out):
            raise FaceForgeError(f"{out} holds files that are not an image set; name a new or empty folder")
    elif out.exists():
        raise FaceForgeError(f"{out} is a file; name a folder to write to")


def natural_order(names: Iterable[str]) -> list[str]:
    """Sorts classes by their leading number (2 before 10, 0-12 before 13-24), then alphabetically."""

    def key(name: str) -> tuple[int, float, str]:
        number = re.match(r"-?[0-9]+(\.[0-9]+)?", name)
        return (0, float(number[0]), name) if number else (1, 0.0, name)

    return sorted(names, key=key)


def _schema(columns: Sequence[str]) -> pa.Schema:
    """Parquet schema; its metadata makes Hugging Face `datasets` decode the images."""
    fields = [pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    texts = [*columns, "sha256", "source"]
    fields += [pa.field(name, pa.string()) for name in texts]
    features = {"image": {"_type": "Image"}, **{name: {"dtype": "string", "_type": "Value"} for name in texts}}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _matrix(lists: pa.ListArray, width: int) -> NDArray[np.int64]:
    values: NDArray[np.int64] = lists.flatten().to_numpy().reshape(-1, width)
    return values


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-links a file that will not change, or copies it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
