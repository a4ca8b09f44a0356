"""What folders mean: official splits, classes, masks, or only the order in which images were stored."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from urllib.parse import unquote

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.classes import choose_labels, class_name
from faceforge.data.sources.files import Files
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.splits import split_called, split_column

FOLDER_COLUMN = "label"
_MASKS = re.compile(
    r"(.*[-_ ])?(masks?|segmentations?|segmentation(class|object)|mask[-_]anno|labelmaps?|parsing|trimaps?|mattes?"
    r"|depth|alpha|ground[-_ ]?truth|gt|annotations?)([-_ ]?(images?|imgs?|png))?",
    re.IGNORECASE,
)
_STORAGE = re.compile(
    r"(part|chunk|block|batch|shard|vol|volume|disc|disk|cd|archive|images?|imgs?|photos?|data|folder|dir|set)"
    r"[-_ ]?\d+|\d{3}[A-Z_]{5}",
    re.IGNORECASE,
)
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
        self._masks = {} if files.in_shards else _mask_folders(files, folders)
        notes = [f"{name}/ holds masks of the images, which are left out ({n:,})" for name, n in self._masks.items()]
        folders = Counter({place: n for place, n in folders.items() if not self._is_mask(place)})
        self._depth = 0 if files.in_shards else _common(folders)
        tops = {place[self._depth] if len(place) > self._depth else "" for place in folders}
        sides = {top: split_called(top) for top in tops}
        self.split = len(tops) > 1 and (all(sides.values()) or {"train", "holdout"} <= set(sides.values()))
        self.mixed = not self.split and len(tops) > 1 and any(sides.values())
        self._inner = 0
        if self.split:
            outside = Counter[str]()
            inner: dict[str, Counter[Folders]] = defaultdict(Counter)
            for place, n in folders.items():
                top = place[self._depth] if len(place) > self._depth else ""
                if sides[top] is None:
                    outside[top or "."] += n
                else:
                    inner[top][place[self._depth + 1 :]] += n
            self._inner = min(_common(part) for part in inner.values())
            notes += [f"{name}/ is not in a split, so its images are left out ({n:,})" for name, n in outside.items()]
        self.notes = tuple(notes)
        names = {_side_of_name(path) for path in files.usable()} if not (self.split or self.mixed) else set()
        self._by_name = names == {"train", "holdout"}

    def includes(self, path: str) -> bool:
        """Whether an image is neither a mask nor outside of the splits."""
        place = _folders(path)
        return not self._is_mask(place) and (not self.split or self._side(place) is not None)

    def split_of(self, path: str) -> Split | None:
        """The official split of an image."""
        if self._by_name:
            return _side_of_name(path)
        return self._side(_folders(path)) if self.split else None

    def inner(self, path: str) -> Folders:
        """The folders of an image below wrappers and splits."""
        return _folders(path)[max(self._skip, self._depth + (1 + self._inner if self.split else 0)) :]

    def _side(self, place: Folders) -> Split | None:
        return split_called(place[self._depth]) if len(place) > self._depth else None

    def _is_mask(self, place: Folders) -> bool:
        return bool(self._masks) and any("/".join(place[: n + 1]) in self._masks for n in range(len(place)))


class FolderLabels(Annotations):
    """The folder below wrappers and splits is the class, in the column `label`.

    Folders called `gender=woman` are columns by name. Where folders seem to be numbered storage blocks (FFHQ's 00000,
    01000), or are called like splits, they become classes only if `ingest.labels` names `label`.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        self._splits = SplitFolders(files)
        notes = list(self._splits.notes)
        places = Counter(self._splits.inner(path) for path in files.usable() if self._splits.includes(path))
        self._partitions = _partition_columns(places)
        self._partition_split = self._official(places)
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
            return {FOLDER_COLUMN: place[0] if place else None}
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
        sizes = Counter[str]()
        for place, n in places.items():
            if place:
                sizes[place[0]] += n
        names = sorted(sizes)
        listed = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        if self._splits.mixed:
            return f"folders {listed}: some are called like splits, so they are not taken as classes"
        if _are_blocks(sizes) or all(_STORAGE.fullmatch(name) for name in names):
            return f"folders {listed} seem to be storage blocks, so they are not taken as classes"
        return ""


def _side_of_name(path: str) -> Split | None:
    """The split that the first word of a file name gives."""
    return split_called(re.split(r"[-_]", path.rpartition("/")[2], maxsplit=1)[0])


def _folders(path: str) -> Folders:
    return tuple(path.split("/")[:-1])


def _common(folders: Counter[Folders]) -> int:
    """The number of leading folders that all images share."""
    if not folders:
        return 0
    low, high = min(folders), max(folders)
    depth = 0
    while depth < min(len(low), len(high)) and low[depth] == high[depth]:
        depth += 1
    return depth


def _are_blocks(sizes: Counter[str]) -> bool:
    """Whether folders are zero-padded numbers of equal size, but for the last."""
    names = sorted(sizes)
    if len({len(name) for name in names}) > 1 or len(names[0]) < 4 or not all(name.isdigit() for name in names):
        return False
    largest = max(sizes.values())
    return names[0].startswith("0") and all(sizes[name] >= 0.9 * largest for name in names[:-1])


def _mask_folders(files: Files, folders: Counter[Folders]) -> dict[str, int]:
    """Folders of masks -> number of files: called like masks, with files called like the images beside them."""
    candidates = {
        place[: n + 1] for place in folders for n, part in enumerate(place) if _MASKS.fullmatch(part) and len(place) > n
    }
    found: dict[str, int] = {}
    for candidate in sorted(candidates, key=len):
        name = _MASKS.fullmatch(candidate[-1])
        parent, word = candidate[:-1], name[2].lower().rstrip("s") if name else ""
        level = len(parent)
        below = [place for place in folders if place[:level] == parent]
        siblings = {place[level] if len(place) > level else "" for place in below} - {candidate[-1]}
        if not siblings or any(word in sibling.lower() for sibling in siblings):
            continue  # with and without a mask are classes
        inside, beside = set[str](), set[str]()
        for path in files.usable():
            place = _folders(path)
            if place[: len(parent)] == parent:
                stem = PurePosixPath(path).stem
                if place[: len(candidate)] == candidate:
                    inside.add(re.sub(rf"[-_. ]?({re.escape(word)}|mask|seg)s?$", "", stem.lower()))
                else:
                    beside.add(stem.lower())
        if len(inside & beside) >= len(inside) / 2:
            found["/".join(candidate)] = sum(n for place, n in folders.items() if place[: len(candidate)] == candidate)
    return found


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
