"""Picks a few example images of every class without reading the whole image set."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import pyarrow.parquet as pq

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.pixels import Pixels, from_bytes

_Location = tuple[int, int]  # shard, row
_Heap = list[tuple[str, _Location]]
_COMPLEMENT = str.maketrans("0123456789abcdef", "fedcba9876543210")


def class_examples(images: ImageSet, columns: Sequence[str], per_class: int) -> dict[str, dict[str, list[Pixels]]]:
    """Training images of every class of the label columns.

    Takes the images with the smallest digests: a random choice that does not depend on the order of the source.

    Args:
        images: the image set.
        columns: label columns; without any, all images are one class: column '', class ''.
        per_class: the most images to take of one class.

    Returns:
        column -> class (all of them, in order) -> images uint8 (H, W, C).
    """
    heaps = _smallest_digests(images, columns, per_class)
    pixels = _read(images, {location for heap in heaps.values() for _, location in heap})
    return {
        column: {
            name: [pixels[location] for _, location in sorted(heaps.get((column, name), []), reverse=True)]
            for name in (images.info.labels[column] if column else [""])
        }
        for column in columns or [""]
    }


def _smallest_digests(images: ImageSet, columns: Sequence[str], per_class: int) -> dict[tuple[str, str], _Heap]:
    """(column, class) -> heap of the complemented digests and locations of its images with the smallest digests."""
    heaps: dict[tuple[str, str], _Heap] = {}
    for shard, path in enumerate(images.shards("train")):
        with pq.ParquetFile(path) as file:
            first = 0
            for batch in file.iter_batches(batch_size=8192, columns=["sha256", *columns]):
                digests = batch.column("sha256").to_pylist()
                for column in columns or [""]:
                    names = batch.column(column).to_pylist() if column else [""] * len(digests)
                    for row, (digest, name) in enumerate(zip(digests, names, strict=True), first):
                        # Complemented, so that the heap's smallest entry is the largest digest: the one to replace.
                        entry = (digest.translate(_COMPLEMENT), (shard, row))
                        heap = heaps.setdefault((column, name), [])
                        if len(heap) < per_class:
                            heapq.heappush(heap, entry)
                        elif entry > heap[0]:
                            heapq.heapreplace(heap, entry)
                first += len(digests)
    return heaps


def _read(images: ImageSet, locations: set[_Location]) -> dict[_Location, Pixels]:
    """The images at these locations; only row groups that contain one are read."""
    pixels: dict[_Location, Pixels] = {}
    for shard, path in enumerate(images.shards("train")):
        rows = sorted(row for number, row in locations if number == shard)
        if not rows:
            continue
        with pq.ParquetFile(path) as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                inside = [row for row in rows if start <= row < stop]
                if inside:
                    column = file.read_row_group(group, columns=["image.bytes"]).column("image").combine_chunks()
                    for row in inside:
                        data = column[row - start].as_py()["bytes"]
                        pixels[shard, row] = from_bytes(data, images.info.channels)
                start = stop
    return pixels
