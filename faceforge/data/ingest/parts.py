"""Stores prepared images between preparation and selection: Parquet files of consecutive samples, complete or absent.

Parts make ingest resumable (an existing part is not made again), bounded in memory (only small columns are ever held
for all images), and divisible (parts may be made on different machines).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceforge.data.ingest.rows import label_fields, schema
from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file

MIN_SAMPLES, MAX_SAMPLES = 256, 2000  # per part; the minimum gives even a small source several parts
PARTS = 128  # aimed at
ROWS_AT_ONCE = 256


class Parts:
    """The parts of one source.

    Args:
        folder: where parts are written; also searched first.
        columns: the label columns.
        count: number of samples in the source.
        others: further folders to search for parts.
    """

    def __init__(self, folder: Path, columns: Sequence[str], count: int, others: Sequence[Path] = ()) -> None:
        self.folder, self.columns, self.count = folder, tuple(columns), count
        self._folders = (folder, *others)
        size = min(max(count // PARTS, MIN_SAMPLES), MAX_SAMPLES)
        self.ranges = [(start, min(start + size, count)) for start in range(0, count, size)]
        self._schema = schema(columns)

    def missing(self, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the ranges (start, stop) whose part does not exist."""
        return [part for part in ranges if self._find(part) is None]

    def write(self, part: tuple[int, int], rows: Iterator[pa.RecordBatch]) -> None:
        """Writes one part atomically, taking `rows` until the part (start, stop) is complete.

        Raises:
            FaceForgeError: there are fewer.
        """
        written, stop = part
        with (
            atomic_file(self.folder / _file_name(part)) as partial,
            pq.ParquetWriter(
                partial, self._schema, compression="none", use_dictionary=False, write_statistics=False
            ) as file,
        ):
            while written < stop:
                group = _at_least(min(ROWS_AT_ONCE, stop - written), rows)
                if not group:
                    raise FaceForgeError(f"the source ended after {written:,} of {self.count:,} images; did it change?")
                file.write_table(pa.Table.from_batches(group, self._schema))
                written += sum(map(len, group))

    def batches(self, columns: Sequence[str], ranges: Sequence[tuple[int, int]] | None = None) -> Iterator[Any]:
        """Columns of all samples (or of the parts in `ranges`) as record batches, in the order of the source."""
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
        """All columns of all samples as record batches, in the order of the source."""
        return self.batches(self._schema.names)

    def label_fields(self) -> list[str]:
        """The names of the label columns inside the parts."""
        return label_fields(self.columns)

    def _find(self, part: tuple[int, int]) -> Path | None:
        return next((path for folder in self._folders if (path := folder / _file_name(part)).is_file()), None)


def _at_least(count: int, batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The next batches that have `count` rows in total, or all if there are fewer."""
    taken: list[pa.RecordBatch] = []
    while sum(map(len, taken)) < count and (batch := next(batches, None)) is not None:
        taken.append(batch)
    return taken


def _file_name(part: tuple[int, int]) -> str:
    return f"{part[0]:011d}-{part[1]:011d}.parquet"
