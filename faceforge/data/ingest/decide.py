"""The decisions that need to see all images: duplicates, sides of the split, what is listed as left out.

They are made in the order of the source from the small columns of its parts, so that nothing depends on who prepared
which part, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import LISTED_AT_MOST, SPLITS, Duplicate, LeftOut, Reject, Split
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.split import group_word, held_out
from faceforge.data.preprocess.phash import near_duplicates

_NONE, _TRAIN, _HOLDOUT = -1, SPLITS.index("train"), SPLITS.index("holdout")


@dataclass(frozen=True)
class Decision:
    """What is stored where.

    Attributes:
        sides: for every sample of the source, position in `SPLITS`, or -1 = left out; int8 (count,).
        left_out: rejects and duplicates.
        classes: split -> label column -> class -> images.
    """

    sides: NDArray[np.int8]
    left_out: LeftOut
    classes: dict[Split, dict[str, dict[str, int]]]

    def total(self, split: Split) -> int:
        """Images of a split."""
        return int((self.sides == SPLITS.index(split)).sum())


def decide(parts: Parts, config: IngestConfig) -> Decision:
    """Chooses a side for every prepared image, or leaves it out.

    Of several images with the same pixels one of the holdout stays if there is any, and of those the first. Sides are
    the source's own where it has any; else all images of a group are on the side that the digest of the group's name
    says, the others where that of their pixels says. Images of the train split that look like one of the holdout are
    left out.
    """
    columns = _columns(parts, config)
    kept, twins = _one_of_each(columns.words, columns.sides)
    duplicates = [(columns.number[~kept], columns.number[twins[~kept]])]
    number, sides = columns.number[kept], columns.sides[kept]
    if config.near_duplicates >= 0:
        hashes, looks = columns.hashes[kept], columns.thumbnails[kept]
        train, holdout = np.flatnonzero(sides == _TRAIN), np.flatnonzero(sides == _HOLDOUT)
        near, like = near_duplicates(
            hashes[train], hashes[holdout], config.near_duplicates, (looks[train], looks[holdout])
        )
        duplicates.append((number[train[near]], number[holdout[like]]))
        sides[train[near]] = _NONE
    chosen = np.full(parts.count, _NONE, np.int8)
    chosen[number] = sides
    left, twin = (np.concatenate(found) for found in zip(*duplicates, strict=True))
    order = np.argsort(left)
    return _described(parts, chosen, left[order], twin[order])


class _Columns(NamedTuple):
    """Of the usable images: number in the source, digest as (N, 4) words, hash, thumbnail (N, K), side."""

    number: NDArray[np.int64]
    words: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    sides: NDArray[np.int8]


def _columns(parts: Parts, config: IngestConfig) -> _Columns:
    looks = ["phash", "thumbnail"] if config.near_duplicates >= 0 else []
    nothing = np.zeros((0, 4), np.uint64), np.zeros(0, np.uint64), np.zeros((0, 0), np.uint8), np.zeros(0, np.int8)
    found: list[_Columns] = []
    first = 0
    for batch in parts.batches(["split", "group", "reason", "sha256", *looks]):
        usable = np.array([not reason for reason in batch.column("reason").to_pylist()], bool)
        number = first + np.flatnonzero(usable)
        first += len(usable)
        batch = batch.filter(usable)
        words = np.frombuffer(b"".join(batch.column("sha256").to_pylist()), ">u8").reshape(-1, 4).astype(np.uint64)
        deciding = words[:, 0].copy()
        for row, group in enumerate(batch.column("group").to_pylist()):
            if group:
                deciding[row] = group_word(group)
        sides = np.where(held_out(deciding, config.holdout), _HOLDOUT, _TRAIN).astype(np.int8)
        for row, split in enumerate(batch.column("split").to_pylist()):
            if split:
                sides[row] = SPLITS.index(split)
        hashes, thumbnails = np.zeros(0, np.uint64), np.zeros((0, 0), np.uint8)
        if looks and len(words):
            hashes = batch.column("phash").to_numpy(zero_copy_only=False).astype(np.uint64)
            thumbnails = np.frombuffer(b"".join(batch.column("thumbnail").to_pylist()), np.uint8)
            thumbnails = thumbnails.reshape(len(words), -1)
        if len(words):
            found.append(_Columns(number, words, hashes, thumbnails, sides))
    if not found:
        return _Columns(np.zeros(0, np.int64), *nothing)
    return _Columns(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _one_of_each(words: NDArray[np.uint64], sides: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For every row, whether it stands for its kind, and which row does."""
    order = np.lexsort((sides != _HOLDOUT, *words.T[::-1]))  # stable: of a kind the holdout's first comes first
    ordered = words[order]
    new = np.ones(len(words), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    chosen, twins = np.empty(len(words), bool), np.empty(len(words), np.int64)
    chosen[order] = new
    twins[order] = order[new][np.cumsum(new) - 1] if len(words) else 0
    return chosen, twins


def _described(parts: Parts, sides: NDArray[np.int8], left: NDArray[np.int64], twin: NDArray[np.int64]) -> Decision:
    """Names what is left out and counts what is not, in a second pass."""
    rejects: list[Reject] = []
    count, first = 0, 0
    paths = dict.fromkeys([*left[:LISTED_AT_MOST].tolist(), *twin[:LISTED_AT_MOST].tolist()], "")
    wanted = np.array(sorted(paths), np.int64)
    classes: dict[Split, dict[str, dict[str, int]]] = {s: {column: {} for column in parts.columns} for s in SPLITS}
    for batch in parts.batches(["path", "reason", *parts.label_names()]):
        side = sides[first : first + batch.num_rows]
        names = batch.column("path")
        for row, reason in enumerate(batch.column("reason").to_pylist()):
            if reason:
                count += 1
                if len(rejects) < LISTED_AT_MOST:
                    rejects.append(Reject(path=names[row].as_py(), reason=reason))
        for number in wanted[(wanted >= first) & (wanted < first + batch.num_rows)].tolist():
            paths[number] = names[number - first].as_py()
        for place, split in enumerate(SPLITS):
            chosen = batch.filter(side == place)
            for column, name in zip(parts.columns, parts.label_names(), strict=True):
                met = classes[split][column]
                for entry in chosen.column(name).value_counts().to_pylist():
                    met[entry["values"]] = met.get(entry["values"], 0) + entry["counts"]
        first += batch.num_rows
    pairs = zip(left[:LISTED_AT_MOST].tolist(), twin[:LISTED_AT_MOST].tolist(), strict=True)
    duplicates = [Duplicate(path=paths[one], of=paths[other]) for one, other in pairs]
    left_out = LeftOut(rejects=rejects, reject_count=count, duplicates=duplicates, duplicate_count=len(left))
    return Decision(sides, left_out, classes)
