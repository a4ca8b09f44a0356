"""The digest of an image set's content; it does not depend on the order of rows, on shards or on worker count."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from faceforge.data.imageset.info import SPLITS, Combination, Split


class ContentDigest:
    """Collects pixel digests and labels of all images, and computes digests of the whole set and of its splits.

    An image takes 36 bytes, so millions fit in memory.

    Args:
        columns: the label columns.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = sorted(columns)
        self._labels: dict[tuple[str, ...], int] = {}  # combination of classes -> its number
        self._digests: dict[Split, bytearray] = {split: bytearray() for split in SPLITS}
        self._combinations: dict[Split, array[int]] = {split: array("I") for split in SPLITS}

    def add(self, split: Split, sha256: str, labels: Mapping[str, str]) -> None:
        """Adds one image.

        Args:
            split: `train` or `holdout`.
            sha256: hex digest of its pixels.
            labels: label column -> class.
        """
        combination = tuple(labels[column] for column in self._columns)
        self._digests[split] += bytes.fromhex(sha256)
        self._combinations[split].append(self._labels.setdefault(combination, len(self._labels)))

    def count(self, split: Split) -> int:
        """Number of images of a split."""
        return len(self._combinations[split])

    def combinations(self, most: int) -> tuple[list[Combination], int]:
        """The `most` combinations of classes most frequent in train (ties by name), and the number of combinations."""
        train, holdout = (np.bincount(np.array(self._combinations[s]), minlength=len(self._labels)) for s in SPLITS)
        ranked = sorted((-train[number], names, number) for names, number in self._labels.items())
        counted = [
            Combination(
                labels=dict(zip(self._columns, names, strict=True)), train=train[number], holdout=holdout[number]
            )
            for _, names, number in ranked[:most]
        ]
        return counted, len(ranked)

    def digest(self) -> str:
        """Hex SHA-256 over the sorted lines `split ["sha256", {"column": "class"}]` of both splits."""
        lines = (f"{split} {line}" for split in sorted(SPLITS) for line in self._lines(split))
        return _digest(lines)

    def split_digest(self, split: Split) -> str:
        """Hex SHA-256 over the sorted lines `["sha256", {"column": "class"}]` of one split."""
        return _digest(self._lines(split))

    def smallest(self, split: Split, count: int) -> list[str]:
        """The `count` smallest pixel digests of a split as hex, ascending."""
        digests = self._sorted(split)[1]
        return [digest.tobytes().hex() for digest in digests[:count]]

    def _lines(self, split: Split) -> Iterator[str]:
        """One JSON text per image, sorted."""
        texts = [json.dumps(dict(zip(self._columns, names, strict=True))) for names in self._labels]
        order, digests = self._sorted(split)
        combinations = np.frombuffer(self._combinations[split], np.uint32)[order] if len(order) else []
        pairs = ((digest.tobytes().hex(), texts[number]) for digest, number in zip(digests, combinations, strict=True))
        for _, same in groupby(pairs, key=lambda pair: pair[0]):
            yield from sorted(f'["{digest}", {text}]' for digest, text in same)

    def _sorted(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        words = np.frombuffer(self._digests[split], ">u8").reshape(-1, 4)
        order = np.lexsort(words.T[::-1])
        return order, words[order]


def _digest(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
