"""Shuffled batches of a split that does not fit in memory, decoded from Parquet in the background.

A step's batch depends only on the seed and the step's number, so that training resumes exactly.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet, Split
from faceforge.data.pixels import Pixels, from_bytes, workers
from faceforge.errors import FaceForgeError, first_line

WINDOW_BYTES = 2**30  # size of the decoded images that are shuffled together
_ORDER, _MIX = 2, 3  # random streams of the seed; `faceforge.training.batches` uses others


class Stream:
    """Batches of an image set that are read from its shards while training runs.

    An epoch visits the row groups of all shards in random order and shuffles the images within windows of many row
    groups. While one window is used, the next is decoded in the background.

    Args:
        images: an image set.
        split: `train` or `holdout`.
        labels: label columns.
        batch_size: images per step.
        seed: random seed of the order.
        window_bytes: size of a window in bytes; two windows are in memory.

    Attributes:
        codes: class codes of all images, int32 (N, columns), in the order of the split.
        waited: seconds that `batch` has spent waiting for images.
    """

    def __init__(
        self,
        images: ImageSet,
        split: Split,
        labels: Sequence[str],
        batch_size: int,
        seed: int,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.codes = images.codes(split, labels)
        self.waited = 0.0
        self._batch_size, self._seed = batch_size, seed
        self._groups = _row_groups(images.shards(split))
        self._shape = (images.info.image_size, images.info.image_size, images.info.channels)
        largest = max(group.rows for group in self._groups) * int(np.prod(self._shape))
        self._at_once = max(1, window_bytes // largest)
        self._pool = ThreadPoolExecutor(workers(), thread_name_prefix="decode")
        self._plans: dict[int, _Epoch] = {}
        self._windows: dict[tuple[int, int], _Window] = {}

    def batch(self, step: int) -> tuple[Pixels, NDArray[np.int32]]:
        """Images uint8 (B, H, W, C) and class codes int32 (B, columns) of a step.

        Raises:
            FaceForgeError: a shard is damaged or missing.
        """
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs, places = np.divmod(positions, len(self.codes))
        pixels, codes = [], []
        for epoch in np.unique(epochs).tolist():
            plan, own = self._plan(epoch), places[epochs == epoch]
            numbers = np.searchsorted(plan.ends, own, "right")
            for number in np.unique(numbers).tolist():
                window = self._window(epoch, number)
                began = time.monotonic()
                images, rows = window.take(own[numbers == number] - plan.start(number))
                self.waited += time.monotonic() - began
                pixels.append(images)
                codes.append(self.codes[rows])
        return np.concatenate(pixels), np.concatenate(codes)

    def close(self) -> None:
        """Stops the background threads."""
        self._pool.shutdown(cancel_futures=True)

    def _window(self, epoch: int, number: int) -> _Window:
        """A decoded window; starts decoding the one after it and drops all others."""
        last = number + 1 == len(self._plan(epoch).windows)
        needed = [(epoch, number), (epoch + 1, 0) if last else (epoch, number + 1)]
        self._windows = {key: self._windows.get(key) or self._open(*key) for key in needed}
        return self._windows[epoch, number]

    def _open(self, epoch: int, number: int) -> _Window:
        groups = [self._groups[place] for place in self._plan(epoch).windows[number]]
        rows = sum(group.rows for group in groups)
        mix = _random(self._seed, _MIX, epoch, number).permutation(rows)
        return _Window(groups, mix, np.empty((rows, *self._shape), np.uint8), self._pool)

    def _plan(self, epoch: int) -> _Epoch:
        if epoch not in self._plans:
            order = _random(self._seed, _ORDER, epoch, 0).permutation(len(self._groups))
            windows = [order[start : start + self._at_once] for start in range(0, len(order), self._at_once)]
            ends = np.cumsum([sum(self._groups[place].rows for place in window) for window in windows])
            self._plans = {key: plan for key, plan in self._plans.items() if key >= epoch - 1}
            self._plans[epoch] = _Epoch(windows, ends)
        return self._plans[epoch]


class _Group(NamedTuple):
    """A row group: its file, its index in the file, the number of its first row in the split, its number of rows."""

    path: Path
    place: int
    first: int
    rows: int


class _Epoch(NamedTuple):
    windows: list[NDArray[np.int64]]
    ends: NDArray[np.int64]

    def start(self, number: int) -> int:
        return int(self.ends[number - 1]) if number else 0


class _Window:
    """Row groups that are being decoded into one array."""

    def __init__(self, groups: list[_Group], mix: NDArray[np.int64], pixels: Pixels, pool: ThreadPoolExecutor) -> None:
        self._mix, self._pixels = mix, pixels
        self._rows = np.concatenate([np.arange(group.first, group.first + group.rows) for group in groups])
        self._jobs: list[Future[None]] = []
        start = 0
        for group in groups:
            self._jobs.append(pool.submit(_decode, group, pixels[start : start + group.rows]))
            start += group.rows

    def take(self, places: NDArray[np.int64]) -> tuple[Pixels, NDArray[np.int64]]:
        """Images at these positions of the shuffled window, and their row numbers in the split; waits until decoded."""
        for job in self._jobs:
            job.result()
        self._jobs = []
        chosen = self._mix[places]
        return self._pixels[chosen], self._rows[chosen]


def _decode(group: _Group, into: Pixels) -> None:
    try:
        with pq.ParquetFile(group.path) as file:
            images = file.read_row_group(group.place, columns=["image.bytes"]).column("image").combine_chunks()
        for place, data in enumerate(images.field("bytes")):
            into[place] = from_bytes(data.as_py(), into.shape[-1])
    except (ValueError, OSError, pa.ArrowException) as error:
        reason = first_line(error)
        raise FaceForgeError(f"{group.path} is damaged ({reason}); ingest again") from None


def _row_groups(shards: list[Path]) -> list[_Group]:
    groups, first = [], 0
    for path in shards:
        try:
            layout = pq.read_metadata(path)
        except (OSError, pa.ArrowException) as error:
            raise FaceForgeError(f"{path} is damaged ({first_line(error)}); ingest again") from None
        for place in range(layout.num_row_groups):
            rows = layout.row_group(place).num_rows
            groups.append(_Group(path, place, first, rows))
            first += rows
    return groups


def _random(seed: int, purpose: int, epoch: int, window: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, 0, window, epoch]))
