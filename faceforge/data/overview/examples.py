"""A few images of every class, without reading all of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import pyarrow.parquet as pq

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.pixels import Pixels, from_bytes

_Place = tuple[int, int]  # shard, row


def class_examples(images: ImageSet, columns: Sequence[str], per_class: int) -> dict[str, dict[str, list[Pixels]]]:
    """Training images by label column and class.

    Those with the smallest digests are taken: a choice at random, and yet the same whatever the order of the source.

    Args:
        images: the set.
        columns: label columns; none: column and class '' stand for all images.
        per_class: how many, at most.

    Returns:
        column -> class (all of them, in order) -> images uint8 (H, W, C).
    """
    info = images.info
    chosen: dict[tuple[str, str], list[tuple[str, _Place]]] = {}
    shards = images.shards("train")
    for shard, path in enumerate(shards):
        with pq.ParquetFile(path) as file:
            row = 0
            for batch in file.iter_batches(batch_size=8192, columns=["sha256", *columns]):
                digests = batch.column("sha256").to_pylist()
                for column in columns or [""]:
                    names = batch.column(column).to_pylist() if column else [""] * len(digests)
                    for place, (digest, name) in enumerate(zip(digests, names, strict=True), row):
                        # Digests are inverted, so that the heap's least is the one to be replaced.
                        entry = (_inverted(digest), (shard, place))
                        heap = chosen.setdefault((column, name), [])
                        if len(heap) < per_class:
                            heapq.heappush(heap, entry)
                        elif entry > heap[0]:
                            heapq.heapreplace(heap, entry)
                row += len(digests)
    wanted = {place for heap in chosen.values() for _, place in heap}
    pixels = _read(images, wanted)
    return {
        column: {
            name: [pixels[place] for _, place in sorted(chosen.get((column, name), []), reverse=True)]
            for name in (info.labels[column] if column else [""])
        }
        for column in columns or [""]
    }


def _inverted(digest: str) -> str:
    return digest.translate(_INVERT)


_INVERT = str.maketrans("0123456789abcdef", "fedcba9876543210")


def _read(images: ImageSet, places: set[_Place]) -> dict[_Place, Pixels]:
    """The images in these places; only row groups that hold one are read."""
    found: dict[_Place, Pixels] = {}
    for shard, path in enumerate(images.shards("train")):
        rows = sorted(row for number, row in places if number == shard)
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
                        found[shard, row] = from_bytes(data, images.info.channels)
                start = stop
    return found
