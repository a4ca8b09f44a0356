"""Official splits: which names of folders, files and table values mean training data, and which held-out data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from faceforge.data.imageset.info import Split

SPLIT_COLUMNS = frozenset(
    {"split", "splits", "partition", "subset", "usage", "set", "phase", "fold", "data_split", "dataset_split"}
)
_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "trainval"), "train"),
    **dict.fromkeys(
        ("test", "testing", "tst", "testset", "validation", "valid", "val", "valset", "dev", "eval", "holdout"),
        "holdout",
    ),
    **dict.fromkeys(("publictest", "privatetest"), "holdout"),  # FER2013
}
_FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "split", "faces", "photos"}
_CELEBA = {"0": "train", "1": "val", "2": "test"}  # what the partitions of CelebA are called
_FLAGS: dict[str, Split] = {  # columns of yes and no
    **dict.fromkeys(("is_train", "is_training", "train", "training"), "train"),
    **dict.fromkeys(("is_test", "is_valid", "is_val", "is_validation", "is_holdout"), "holdout"),
}
_SHOWN = 4
_YES, _NO = {"1", "true", "yes"}, {"0", "false", "no"}


def split_called(name: str) -> Split | None:
    """The split that a folder, file or table value names (`train`, `val2017`, `test_images`); None if it names none."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word and word not in _FILLERS]
    return _NAMES.get(words[0]) if len(words) == 1 else None


def split_column(name: str, values: Iterable[str | None], others: bool = False) -> dict[str | None, Split] | None:
    """Value -> split of a table's column, if the column gives the official split; None otherwise.

    Any column gives it when all of its values name splits and both splits are among them; columns called like `split`,
    `partition` or `usage` also with one split, or when they are 0, 1 and 2 as in CelebA; and columns called like
    `is_valid` (fastai) when all are yes or no.

    Args:
        name: of the column.
        values: of the column.
        others: in a column called like `split`, allow values that name no split, such as `extra`.
    """
    distinct = {value for value in values if value is not None}
    column = name.strip().lower()
    if not distinct:
        return None
    if column in _FLAGS and all(value.lower() in _YES | _NO for value in distinct):
        flagged: Split = _FLAGS[column]
        other: Split = "holdout" if flagged == "train" else "train"
        return {value: flagged if value.lower() in _YES else other for value in distinct}
    splits = {value: split_called(value) for value in distinct}
    named: dict[str | None, Split] = {value: split for value, split in splits.items() if split}
    both = len(set(named.values())) > 1
    if column not in SPLIT_COLUMNS:
        return named if both and len(named) == len(distinct) else None
    if distinct == _CELEBA.keys() or (column == "partition" and "0" in distinct and distinct <= _CELEBA.keys()):
        return {value: split_called(_CELEBA[value]) or "train" for value in distinct}
    return named if len(named) == len(distinct) or (others and both) else None


def unclear_split(name: str, values: Iterable[str | None]) -> str:
    """A note on a column called like `split` whose values do not say which are for training; '' for other columns."""
    shown = sorted({value for value in values if value is not None})
    if name.strip().lower() not in SPLIT_COLUMNS or len(shown) < 2:
        return ""
    listed = ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
    return f"column {name!r} ({listed}) does not say which images are held out, so the holdout is chosen by content"


def official_splits(splits: Collection[Split | None]) -> tuple[bool, tuple[str, ...]]:
    """Whether official splits are used (only if both exist), and a note if only one of them does."""
    present = {split for split in splits if split}
    note = f"only images of the official {'/'.join(present)} split are present, so the holdout is chosen by content"
    return len(present) > 1, ((note,) if len(present) == 1 else ())
