"""Selects which prepared images are stored and in which split: the steps that need to see all images.

They read only the small columns of the parts, in the order of the source, so the result does not depend on which
worker prepared which part, or when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import LISTED_AT_MOST, SPLITS, Duplicate, LeftOut, Reject, Split
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.split import MIN_IMAGES, group_key, in_holdout, sufficient_share
from faceforge.data.preprocess.near_duplicates import near_duplicates

_LEFT_OUT, _TRAIN, _HOLDOUT = -1, SPLITS.index("train"), SPLITS.index("holdout")


@dataclass(frozen=True)
class Selection:
    """Which samples of a source are stored, and in which split.

    Attributes:
        splits: for every sample, its position in `SPLITS`, or -1 = left out; int8 (count,).
        left_out: rejects and duplicates.
        classes: split -> label column -> class -> number of images.
        notes: what was chosen differently from the settings, and why.
    """

    splits: NDArray[np.int8]
    left_out: LeftOut
    classes: dict[Split, dict[str, dict[str, int]]]
    notes: tuple[str, ...] = ()

    def total(self, split: Split) -> int:
        """The number of images in a split."""
        return int((self.splits == SPLITS.index(split)).sum())


def select_images(parts: Parts, config: IngestConfig) -> Selection:
    """Assigns every prepared image to a split, or leaves it out as a reject, a duplicate or a near duplicate.

    Of images with equal pixels one is kept: the first that belongs to the holdout, or else the first. If their labels
    differ, none is kept, and all of them are rejects, because no one knows which label is right. The source's
    official splits are kept. Otherwise images of one group go to the split that the digest of the group's name gives,
    and other images to the one that the digest of their pixels gives. The holdout is made larger than configured where
    evaluation needs more images. Training images that look like a holdout image are left out.
    """
    columns = _read_columns(parts, config)
    splits, notes = _assign_splits(columns, config.holdout)
    kept, representative = _deduplicate(columns.digests, splits)
    contradictory = _contradictory(columns.labels, representative)
    conflicts = _conflicts(columns, representative, contradictory)
    repeated, kept = ~kept & ~contradictory, kept & ~contradictory
    duplicates = [(columns.rows[repeated], columns.rows[representative[repeated]])]
    index, splits = columns.rows[kept], splits[kept]
    if config.near_duplicates >= 0:
        hashes, thumbnails = columns.hashes[kept], columns.thumbnails[kept]
        train, holdout = np.flatnonzero(splits == _TRAIN), np.flatnonzero(splits == _HOLDOUT)
        copies, originals = near_duplicates(
            hashes[train], hashes[holdout], config.near_duplicates, (thumbnails[train], thumbnails[holdout])
        )
        duplicates.append((index[train[copies]], index[holdout[originals]]))
        splits[train[copies]] = _LEFT_OUT
    all_splits = np.full(parts.count, _LEFT_OUT, np.int8)
    all_splits[index] = splits
    duplicate, original = (np.concatenate(rows) for rows in zip(*duplicates, strict=True))
    order = np.argsort(duplicate)
    selection = _summarise(parts, all_splits, duplicate[order], original[order], conflicts)
    if conflicts:
        notes += (f"{len(conflicts):,} images are left out: others have the same pixels but different labels",)
    totals = {split: selection.total(split) for split in SPLITS}
    if min(totals.values()) < MIN_IMAGES:
        counts = " and ".join(f"{total:,} images in the {split} split" for split, total in totals.items())
        notes += (f"{counts} are too few to evaluate a model on; each split needs at least {MIN_IMAGES}",)
    return replace(selection, notes=notes)


def _assign_splits(columns: _Columns, share: float) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """The split of every usable image, and a note if the holdout is not of the configured share."""
    is_official = columns.official != _LEFT_OUT
    enlarged = share
    if not is_official.any() and in_holdout(columns.keys, share).sum() < MIN_IMAGES:
        distinct, _ = _deduplicate(columns.digests, columns.official)
        enlarged = sufficient_share(columns.keys[distinct], share)
    splits = np.where(in_holdout(columns.keys, enlarged), _HOLDOUT, _TRAIN).astype(np.int8)
    reason = f"evaluation needs at least {MIN_IMAGES} images in it" if len(splits) > MIN_IMAGES else "it would be empty"
    note = f"the holdout has {enlarged:.0%} of the images instead of {share:.0%}: {reason}"
    return np.where(is_official, columns.official, splits), (note,) if enlarged > share else ()


class _Columns(NamedTuple):
    """Of the N usable images: their rows in the source, digests as (N, 4) words, the keys that choose their split (see
    `in_holdout`), numbers of their combinations of labels, their official split or -1, hashes and thumbnails (N, K)."""

    rows: NDArray[np.int64]
    digests: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    labels: NDArray[np.uint64]
    official: NDArray[np.int8]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]


def _read_columns(parts: Parts, config: IngestConfig) -> _Columns:
    for_near_duplicates = ["phash", "thumbnail"] if config.near_duplicates >= 0 else []
    combinations: dict[tuple[str, ...], int] = {}  # of labels -> a number
    pieces: list[_Columns] = []
    first = 0
    for batch in parts.batches(["split", "group", "reason", "sha256", *parts.label_fields(), *for_near_duplicates]):
        usable = np.array([not reason for reason in batch.column("reason").to_pylist()], bool)
        index = first + np.flatnonzero(usable)
        first += len(usable)
        if len(index):
            chosen = batch.filter(usable)
            rows = zip(*(chosen.column(field).to_pylist() for field in parts.label_fields()), strict=True)
            codes = [combinations.setdefault(row, len(combinations)) for row in rows] or [0] * len(index)
            pieces.append(_usable_columns(chosen, index, config, np.array(codes, np.uint64)))
    if not pieces:
        none = np.zeros(0, np.uint64)
        no_rows, no_splits, no_thumbnails = np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros((0, 0), np.uint8)
        return _Columns(no_rows, none.reshape(0, 4), none, none, no_splits, none, no_thumbnails)
    return _Columns(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _usable_columns(batch: Any, index: NDArray[np.int64], config: IngestConfig, labels: NDArray[np.uint64]) -> _Columns:
    """The columns of a record batch without rejects."""
    digests = np.frombuffer(b"".join(batch.column("sha256").to_pylist()), ">u8").reshape(-1, 4).astype(np.uint64)
    keys = digests[:, 0].copy()
    for row, group in enumerate(batch.column("group").to_pylist()):
        if group:
            keys[row] = group_key(group)
    names = batch.column("split").to_pylist()
    official = np.array([SPLITS.index(name) if name else _LEFT_OUT for name in names], np.int8)
    hashes, thumbnails = np.zeros(0, np.uint64), np.zeros((0, 0), np.uint8)
    if config.near_duplicates >= 0:
        hashes = batch.column("phash").to_numpy(zero_copy_only=False).astype(np.uint64)
        thumbnails = np.frombuffer(b"".join(batch.column("thumbnail").to_pylist()), np.uint8)
        thumbnails = thumbnails.reshape(len(index), -1)
    return _Columns(index, digests, keys, labels, official, hashes, thumbnails)


def _deduplicate(digests: NDArray[np.uint64], splits: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For every row, whether it is kept, and the row that is kept of all with the same digest."""
    # lexsort is stable: of equal digests, the first of the holdout comes first, or else the first.
    order = np.lexsort((splits != _HOLDOUT, *digests.T[::-1]))
    ordered = digests[order]
    first = np.ones(len(digests), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(1)
    kept, representative = np.empty(len(digests), bool), np.empty(len(digests), np.int64)
    kept[order] = first
    representative[order] = order[first][np.cumsum(first) - 1] if len(digests) else 0
    return kept, representative


def _contradictory(labels: NDArray[np.uint64], representative: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether an image with equal pixels has other labels, for every row; bool (N,)."""
    differs = np.zeros(len(labels), bool)
    differs[representative[labels != labels[representative]]] = True
    return differs[representative]


def _conflicts(
    columns: _Columns, representative: NDArray[np.int64], contradictory: NDArray[np.bool_]
) -> dict[int, int]:
    """Row of each contradictory image -> row of one with equal pixels and other labels."""
    conflicts: dict[int, int] = {}
    for place in np.flatnonzero(contradictory).tolist():
        first = int(representative[place])
        if columns.labels[place] != columns.labels[first]:
            conflicts[int(columns.rows[place])] = int(columns.rows[first])
            conflicts.setdefault(int(columns.rows[first]), int(columns.rows[place]))
    for place in np.flatnonzero(contradictory).tolist():  # those with the labels of the first
        conflicts.setdefault(int(columns.rows[place]), conflicts[int(columns.rows[representative[place]])])
    return conflicts


def _summarise(
    parts: Parts,
    splits: NDArray[np.int8],
    duplicate: NDArray[np.int64],
    original: NDArray[np.int64],
    conflicts: Mapping[int, int],
) -> Selection:
    """Lists what is left out and counts the classes of what is kept, in a second pass over the parts."""
    rejects: list[Reject] = []
    reject_count, first = len(conflicts), 0
    listed = duplicate[:LISTED_AT_MOST].tolist(), original[:LISTED_AT_MOST].tolist()
    shown = dict(sorted(conflicts.items())[:LISTED_AT_MOST])
    paths = dict.fromkeys([*listed[0], *listed[1], *shown, *shown.values()], "")
    needed = np.array(sorted(paths), np.int64)
    classes: dict[Split, dict[str, dict[str, int]]] = {s: {column: {} for column in parts.columns} for s in SPLITS}
    for batch in parts.batches(["path", "reason", *parts.label_fields()]):
        names = batch.column("path")
        for row, reason in enumerate(batch.column("reason").to_pylist()):
            if reason:
                reject_count += 1
                if len(rejects) < LISTED_AT_MOST:
                    rejects.append(Reject(path=names[row].as_py(), reason=reason))
        for index in needed[(needed >= first) & (needed < first + batch.num_rows)].tolist():
            paths[index] = names[index - first].as_py()
        for position, split in enumerate(SPLITS):
            chosen = batch.filter(splits[first : first + batch.num_rows] == position)
            for column, field in zip(parts.columns, parts.label_fields(), strict=True):
                counts = classes[split][column]
                for entry in chosen.column(field).value_counts().to_pylist():
                    counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        first += batch.num_rows
    for one, other in shown.items():
        reason = f"{paths[other]} has the same pixels but other labels"
        rejects.append(Reject(path=paths[one], reason=reason))
    duplicates = [Duplicate(path=paths[one], of=paths[other]) for one, other in zip(*listed, strict=True)]
    left_out = LeftOut(
        rejects=rejects[:LISTED_AT_MOST],
        reject_count=reject_count,
        duplicates=duplicates,
        duplicate_count=len(duplicate),
    )
    return Selection(splits, left_out, classes)
