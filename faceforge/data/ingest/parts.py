"""Prepared images on their way into an image set: Parquet files of consecutive samples, each whole or absent.

They are what makes ingest resumable (a part that is there is not made again), bounded in memory (only their small
columns are ever held for all images), and divisible: parts may be made by different machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from faceforge.data.ingest.processing import Outcome
from faceforge.data.preprocess.prepare import Measures
from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file

FEWEST, MOST = 256, 2000  # images of a part: a small source has many parts all the same
PARTS = 128
ROWS_AT_ONCE = 256

_TYPES = {int: pa.uint64(), float: pa.float64(), bytes: pa.binary()}
_SUMS = pa.list_(pa.int64())
_IMAGE = {"png": pa.binary(), "sha256": pa.binary(), "sums": _SUMS, "squares": _SUMS}
_MEASURES = {name: _TYPES[kind] for name, kind in get_type_hints(Measures).items()}


class Parts:
    """The parts of one source.

    Args:
        folder: where parts are written, and looked for first.
        columns: the label columns.
        count: samples of the source.
        others: further folders to look for parts in.
    """

    def __init__(self, folder: Path, columns: Sequence[str], count: int, others: Sequence[Path] = ()) -> None:
        self.folder, self.columns, self.count = folder, tuple(columns), count
        self._folders = (folder, *others)
        size = min(max(count // PARTS, FEWEST), MOST)
        self.ranges = [(start, min(start + size, count)) for start in range(0, count, size)]
        self._schema = pa.schema(
            [
                *((name, pa.string()) for name in ("path", "group", "split", "reason")),
                ("absent", pa.bool_()),
                *((f"label_{place}", pa.string()) for place in range(len(self.columns))),
                *_IMAGE.items(),
                *_MEASURES.items(),
            ]
        )

    def missing(self, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the ranges whose parts are nowhere to be found."""
        return [part for part in ranges if self._find(part) is None]

    def write(self, part: tuple[int, int], outcomes: Iterable[Outcome]) -> None:
        """Writes a part; takes as many outcomes as it has samples."""
        start, stop = part
        rows, written = islice(outcomes, stop - start), start
        with (
            atomic_file(self.folder / _name(part)) as partial,
            pq.ParquetWriter(
                partial, self._schema, compression="none", use_dictionary=False, write_statistics=False
            ) as file,
        ):
            while batch := [self._row(outcome) for outcome in islice(rows, ROWS_AT_ONCE)]:
                columns = map(pa.array, zip(*batch, strict=True), self._schema.types)
                file.write_batch(pa.RecordBatch.from_arrays(list(columns), schema=self._schema))
                written += len(batch)
            if written != stop:
                raise FaceForgeError(f"the source ended after {written:,} of {self.count:,} images; did it change?")

    def batches(self, columns: Sequence[str], ranges: Sequence[tuple[int, int]] | None = None) -> Iterator[Any]:
        """Columns of all samples (or of some parts) in the order of the source, as record batches."""
        for part in self.ranges if ranges is None else ranges:
            path = self._find(part)
            if path is None:
                raise FaceForgeError(f"prepared images {part[0]:,} to {part[1]:,} are missing in {self.folder}")
            try:
                with pq.ParquetFile(path) as file:
                    yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise FaceForgeError(f"{path} is damaged ({first_line(error)}); remove it") from None

    def images(self) -> Iterator[Any]:
        """All columns of all samples in the order of the source, as record batches."""
        return self.batches(self._schema.names)

    def label_names(self) -> list[str]:
        """What the label columns are called in the parts."""
        return [f"label_{place}" for place in range(len(self.columns))]

    def _find(self, part: tuple[int, int]) -> Path | None:
        return next((path for folder in self._folders if (path := folder / _name(part)).is_file()), None)

    def _row(self, outcome: Outcome) -> tuple[Any, ...]:
        """The values in the order of the schema."""
        known = outcome.path, outcome.group, outcome.split, outcome.reason, outcome.absent
        labels = map(outcome.labels.get, self.columns)
        image, measures = outcome.image, outcome.measures
        if image is None or measures is None:
            return (*known, *labels, *[None] * (len(_IMAGE) + len(_MEASURES)))
        return (*known, *labels, image.png, bytes.fromhex(image.sha256), image.sums, image.squares, *measures)


def _name(part: tuple[int, int]) -> str:
    return f"{part[0]:011d}-{part[1]:011d}.parquet"
