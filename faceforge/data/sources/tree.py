"""What folders mean: official splits, classes, masks, or only the order in which images were stored."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.classes import choose_labels, class_name
from faceforge.data.sources.files import Files
from faceforge.data.sources.masks import mask_files, mask_folders
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.splits import split_called, split_column

FOLDER_COLUMN = "label"
_STORAGE = re.compile(
    r"(part|chunk|block|batch|shard|vol|volume|disc|disk|cd|archive|images?|imgs?|photos?|data|folder|dir|set|k?fold)"
    r"[-_ ]?\d+|\d{3}[A-Z_]{5}|(19|20)\d\d[-_.](0[1-9]|1[0-2])([-_.]\d\d)?.*|(19|20)\d\d(0[1-9]|1[0-2])[0-3]\d",
    re.IGNORECASE,
)
_HASHES = 16  # folders called like the first digits of hashes are storage from this many on
PARTITION = re.compile(r"([A-Za-z_]\w*)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_SHOWN = 4
Folders = tuple[str, ...]


class SplitFolders:
    """The meaning of the upper folders of image paths: wrappers around everything, masks, splits.

    Names such as `train_00001.jpg` and `test_0001.jpg` (RAF-DB) are splits too, if all images have them.

    Attributes:
        notes: on folders whose images are left out.
        mixed: whether folders called like splits lie beside others in a way that could mean either.
        split: whether the images are in folders of official splits.
    """

    def __init__(self, files: Files) -> None:
        self._skip = 1 if files.in_shards else 0
        folders = Counter(_folders(path) for path in files.usable())
        self._masks = {} if files.in_shards else mask_folders(files, folders)
        notes = [f"{name}/ holds masks of the images, which are left out ({n:,})" for name, n in self._masks.items()]
        folders = Counter({place: n for place, n in folders.items() if not self._is_mask(place)})
        self._mask_files = mask_files(files)
        if self._mask_files:
            listed = f"{len(self._mask_files):,}, the first: {min(self._mask_files)}"
            notes.append(f"files called like masks of other images are left out ({listed})")
        self._depth = 0 if files.in_shards else _common(folders)
        below = self._depth + 1
        self._level = below if _are_splits(folders, below) and not _are_splits(folders, self._depth) else self._depth
        tops = {_part(place, self._level) for place in folders}
        sides = {top: split_called(top) for top in tops}
        self.split = len(tops) > 1 and (all(sides.values()) or {"train", "holdout"} <= set(sides.values()))
        self.mixed = not self.split and len(tops) > 1 and any(sides.values())
        self._inner = 0
        if self.split and self._level == self._depth:
            outside = Counter[str]()
            inner: dict[str, Counter[Folders]] = defaultdict(Counter)
            for place, n in folders.items():
                top = _part(place, self._depth)
                if sides[top] is None:
                    outside[top or "."] += n
                else:
                    inner[top][place[self._depth + 1 :]] += n
            self._inner = min(_common(part) for part in inner.values())
            notes += [f"{name}/ is not in a split, so its images are left out ({n:,})" for name, n in outside.items()]
        self._unlabelled: set[str] = set()
        self.notes = tuple(notes)
        self._by_name = not (self.split or self.mixed) and _are_split_names(files)

    def includes(self, path: str) -> bool:
        """Whether an image is neither a mask nor outside of the splits."""
        place = _folders(path)
        return (
            path not in self._mask_files
            and not self._is_mask(place)
            and (not self.split or self._side(place) is not None)
            and not self.is_unlabelled(path)
        )

    def is_unlabelled(self, path: str) -> bool:
        """Whether an image is in one of the folders that `leave_out_unlabelled` has found."""
        return bool(self._unlabelled) and _part(_folders(path), self._level) in self._unlabelled

    def leave_out_unlabelled(self, files: Files, label_of: Callable[[str], str | None]) -> None:
        """Leaves out folders of held-out images without labels, such as the test images of competitions, with a note.

        Args:
            files: the images.
            label_of: gives the label of an image by its path. A folder has no labels if its images have none, or all
                have one that no training image has, such as `test/unknown/`.
        """
        if not self.split:
            return
        labels: dict[str, Counter[str | None]] = defaultdict(Counter)
        for path in files.usable():
            if self.includes(path):
                labels[_part(_folders(path), self._level)][label_of(path)] += 1
        known = {label for top, found in labels.items() if split_called(top) == "train" for label in found} - {None}
        for top, found in sorted(labels.items()):
            if known and split_called(top) == "holdout" and len(found) == 1 and known.isdisjoint(found):
                self._unlabelled.add(top)
                self.notes += (f"the images of {top}/ have no labels, so they are left out ({found.total():,})",)

    def split_of(self, path: str) -> Split | None:
        """The official split of an image."""
        if self._by_name:
            return _side_of_name(path)
        return self._side(_folders(path)) if self.split else None

    def inner(self, path: str) -> Folders:
        """The folders of an image below wrappers and splits, or around the splits (`cats/train/`)."""
        if self.split and self._level > self._depth:
            place = _folders(path)
            return place[self._depth : self._level] + place[self._level + 1 :]
        return _folders(path)[max(self._skip, self._depth + (1 + self._inner if self.split else 0)) :]

    def _side(self, place: Folders) -> Split | None:
        return split_called(_part(place, self._level))

    def _is_mask(self, place: Folders) -> bool:
        return bool(self._masks) and any("/".join(place[: n + 1]) in self._masks for n in range(len(place)))


class FolderLabels(Annotations):
    """The folder below wrappers and splits is the class, in the column `label`.

    Folders called `gender=woman` are columns by name. Where folders seem to be storage blocks (FFHQ's 00000, 01000;
    fold_1; dates), the folders below them are the classes, if they are alike in the blocks. Storage blocks without such
    folders, and folders called like splits, become classes only if `ingest.labels` names `label`.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        self._splits = SplitFolders(files)
        if config.labels != ():
            self._splits.leave_out_unlabelled(files, lambda path: next(iter(self._splits.inner(path)), None))
        notes = list(self._splits.notes)
        places = Counter(self._splits.inner(path) for path in files.usable() if self._splits.includes(path))
        self._partitions = _partition_columns(places)
        self._partition_split = self._official(places)
        self._skip = 0 if self._partitions or self._splits.mixed or config.labels else _blocks_over_classes(places)
        if self._skip:
            notes.append(
                f"folders {_listed({place[0] for place in places})} seem to be storage blocks; "
                f"the folders below them are the classes"
            )
        elif not self._partitions:
            notes += _lower_folders(places, config)
        columns = self._partitions or ((FOLDER_COLUMN,) if any(places) else ())
        self.groups = columns
        self._group = config.group if config.group in columns else ""
        existing = tuple(column for column in columns if column != self._partition_split[0])
        requested = config.labels
        if requested is None:
            doubt = self._doubt(places) if existing == (FOLDER_COLUMN,) and not self._partitions else ""
            notes += [f"{doubt}; ingest.labels=label takes them as classes"] if doubt else []
            requested = () if doubt else tuple(column for column in existing if column != self._group)
        self.labels = choose_labels(files.name, existing, requested)
        self.notes = tuple(notes)

    def includes(self, path: str) -> bool:
        """Whether it is neither a mask nor outside of the splits."""
        return self._splits.includes(path)

    def annotate(self, path: str) -> Sample:
        """Class, split and group by folders."""
        place, split = self._splits.inner(path), self._splits.split_of(path)
        if not place and self.labels:
            return Sample(path, problem="lies beside the class folders, not in one")
        values = self._values(place)
        column, official = self._partition_split
        split = official.get(values[column]) if column else split
        labels = {name: values[name] for name in self.labels}
        return Sample(path, labels=labels, split=split, group=values.get(self._group) or "")

    def _values(self, place: Folders) -> dict[str, str | None]:
        """Column -> value of an image in these folders."""
        if not self._partitions:
            return {FOLDER_COLUMN: place[self._skip] if place else None}
        texts = (part.partition("=")[2] for part in place)
        return {c: partition_value(text) for c, text in zip(self._partitions, texts, strict=False)}

    def _official(self, places: Counter[Folders]) -> tuple[str, dict[str | None, Split]]:
        """The column of `column=value` folders that gives official splits, and the split of each of its values."""
        for column in self._partitions:
            values = {self._values(place)[column] for place in places}
            if splits := split_column(column, values):
                return column, splits
        return "", {}

    def _doubt(self, places: Counter[Folders]) -> str:
        """Why the folders may not be classes."""
        sizes = _sizes(places, self._skip)
        if self._splits.mixed:
            return f"folders {_listed(sizes)}: some are called like splits, so they are not taken as classes"
        if _are_blocks(sizes):
            return f"folders {_listed(sizes)} seem to be storage blocks, so they are not taken as classes"
        return ""


def _are_split_names(files: Files) -> bool:
    """Whether all file names begin with a split, and both splits are among them."""
    sides: set[Split] = set()
    for path in files.usable():
        side = _side_of_name(path)
        if side is None:
            return False
        sides.add(side)
    return len(sides) > 1


def _side_of_name(path: str) -> Split | None:
    """The split that the first word of a file name gives."""
    return split_called(re.split(r"[-_]", path.rpartition("/")[2], maxsplit=1)[0])


def _folders(path: str) -> Folders:
    return tuple(path.split("/")[:-1])


def _part(place: Folders, level: int) -> str:
    return place[level] if len(place) > level else ""


def _are_splits(folders: Counter[Folders], level: int) -> bool:
    """Whether all folders of a level are called like splits, and both splits are among them."""
    sides = {split_called(_part(place, level)) for place in folders}
    return sides == {"train", "holdout"}


def _common(folders: Counter[Folders]) -> int:
    """The number of leading folders that all images share."""
    if not folders:
        return 0
    low, high = min(folders), max(folders)
    depth = 0
    while depth < min(len(low), len(high)) and low[depth] == high[depth]:
        depth += 1
    return depth


def _sizes(places: Counter[Folders], level: int) -> Counter[str]:
    """Folder of a level -> number of images in it."""
    sizes = Counter[str]()
    for place, n in places.items():
        if len(place) > level:
            sizes[place[level]] += n
    return sizes


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:_SHOWN]) + (", ..." if len(ordered) > _SHOWN else "")


def _are_blocks(sizes: Counter[str]) -> bool:
    """Whether folders only divide the files: by zero-padded numbers in equal parts, dates, hashes, or `part1`."""
    names = sorted(sizes)
    if not names or all(_STORAGE.fullmatch(name) for name in names):
        return bool(names)
    if len({len(name) for name in names}) > 1 or len(names[0]) < 2:
        return False
    if len(names[0]) == 2 and len(names) >= _HASHES and all(re.fullmatch("[0-9a-f]{2}", name) for name in names):
        return True
    largest = max(sizes.values())
    numbered = all(name.isdigit() for name in names) and names[0].startswith("0")
    return numbered and all(sizes[name] >= 0.9 * largest for name in names[:-1])


def _blocks_over_classes(places: Counter[Folders]) -> int:
    """1 if the first folders are storage blocks and the second are alike in them and therefore classes; else 0."""
    if not places or min(map(len, places)) < 2 or not _are_blocks(_sizes(places, 0)):
        return 0
    blocks: dict[str, set[str]] = {}
    for place in places:
        blocks.setdefault(place[1], set()).add(place[0])
    shared = sum(len(found) > 1 for found in blocks.values())
    return int(2 <= len(blocks) <= 2 * shared and not _are_blocks(_sizes(places, 1)))


def _lower_folders(places: Counter[Folders], config: IngestConfig) -> list[str]:
    """Notes on folders that may be labels and are not used as such."""
    lower: dict[str, set[str]] = {}
    for place in places:
        if len(place) > 1:
            lower.setdefault(place[1], set()).add(place[0])
    if len(lower) > 1 and any(len(above) > 1 for above in lower.values()):
        return [
            f"folders below the first ({_listed(lower)}) are not used; a pattern such as "
            "--labels-from-name '{first}/{second}/{file}' makes labels of both"
        ]
    if config.labels == () and not config.group and len(_sizes(places, 0)) > _SHOWN:
        return ["folders are not used; if each is a person, ingest.group=folder keeps all images of a person together"]
    return []


def _partition_columns(places: Counter[Folders]) -> tuple[str, ...]:
    """The columns of folders called `column=value`, as Hive partitions are."""
    if not places:
        return ()
    columns: list[str] = []
    for level in range(min(map(len, places))):
        matches = [PARTITION.fullmatch(place[level]) for place in places]
        keys = {match[1] if match else "" for match in matches}
        if len(keys) > 1 or "" in keys:
            break
        columns += keys
    return tuple(columns)


def partition_value(value: str) -> str | None:
    """The value of a folder called `column=value`; Hive and Spark escape special characters."""
    return None if value == _NO_VALUE else class_name(unquote(value))
