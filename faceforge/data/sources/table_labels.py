"""Labels, splits and groups of image files from one or several tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.preprocess.crop import Box
from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.bins import parse_bins
from faceforge.data.sources.classes import are_numbers, identifying_columns
from faceforge.data.sources.columns import Column, choose, from_schema, leaf
from faceforge.data.sources.files import Files, printable, suffix
from faceforge.data.sources.matching import clean_name, identity_key, match_names
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.split_lists import split_of_file
from faceforge.data.sources.splits import SPLIT_COLUMNS, split_column, unclear_split
from faceforge.data.sources.tree import SplitFolders
from faceforge.errors import FaceForgeError

FILE_COLUMNS = frozenset(
    {"file_name", "filename", "file", "image", "image_id", "path", "img", "image_name", "img_name", "image_path"}
    | {"img_path", "filepath", "file_path", "name", "id", "image_file", "img_file", "images", "photo", "picture"}
)
_MAY_BE_NAMES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
_TECHNICAL = frozenset(  # columns about files and boxes, and splits by numbers: labels only if they are requested
    {"width", "height", "depth", "xmin", "ymin", "xmax", "ymax", "x", "y", "w", "h", "x1", "y1", "x2", "y2", "area"}
    | {"left", "top", "right", "bottom", "bbox", "size", "original_width", "original_height", "url", "license", "index"}
    | {"split", "partition", "subset", "usage"}
)
_IDENTITY = re.compile(
    r"(subject|person|identity|patient|participant|individual|celebrity|user)([-_ ]?(id|name|no))?", re.I
)
_NUMBERS = frozenset({"id", "name", "index"})  # file columns that are often numbers or names of something else
_SAMPLE = 100  # rows that show whether a column can hold the names of images


@dataclass
class LabelTable:
    """A table with one row for each image.

    Attributes:
        name: for messages: the path of the file, or the format and its files.
        data: its rows.
        folder: the folder of the table, to which its names may be relative.
        key: the column of image names; '' = the one whose values fit the images.
        documents: the documents that it was read from.
        stamps: other files that it was read from; see `Source.stamps`.
        notes: on how it was read.
        vocabularies: column -> classes in their order, where it is known.
        boxes: for each row, the box of the largest object, see `Sample.box`; empty if there are no boxes.
    """

    name: str
    data: pa.Table
    folder: str = ""
    key: str = ""
    documents: tuple[str, ...] = ()
    stamps: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    vocabularies: dict[str, list[str]] = field(default_factory=dict)
    boxes: Sequence[Box | None] = ()


class Listing:
    """A table whose rows are assigned to images.

    Args:
        table: the table.
        files: the images.

    Attributes:
        rows: path of an image -> number of its row.
        difference: how names differ from their files, in words.
        columns: what can be a label.

    Raises:
        FaceForgeError: an image is listed twice with different values.
    """

    def __init__(self, table: LabelTable, files: Files) -> None:
        self.table = table
        keys = {identity_key(path) for path in files.paths}
        candidates = [table.key] if table.key else _candidates(table.data, keys)
        self.key = candidates[0] if candidates else table.data.column_names[0]
        self.rows: dict[str, int] = {}
        self.difference = ""
        for column in candidates:
            names = [None if value is None else str(value) for value in table.data.column(column).to_pylist()]
            rows, difference = match_names(_without_repeats(table, column, names), files.paths, table.folder)
            if len(rows) > len(self.rows):
                self.key, self.rows, self.difference = column, rows, difference
            if len(self.rows) * 2 >= min(len(names), len(files.paths)):
                break
        self.columns = from_schema(table.data.schema, {self.key})

    def names(self) -> list[str]:
        """The names of all rows."""
        return [clean_name(str(name)) for name in self.table.data.column(self.key).to_pylist() if name]

    def values(self, column: Column) -> Values:
        """The classes of a column."""
        return Values(leaf(self.table.data.column(column.path[0]), column), column)


class Values:
    """The classes of one column of a table, as a number for each row."""

    def __init__(self, array: pa.ChunkedArray, column: Column) -> None:
        combined = array.unify_dictionaries().combine_chunks()
        if column.listed or pa.types.is_nested(combined.type):
            values = [column.classify(value) for value in combined.to_pylist()]
            self.classes = list(dict.fromkeys([None, *values]))
            codes = {value: code for code, value in enumerate(self.classes)}
            self._codes: NDArray[Any] = np.array([codes[value] for value in values], np.int32)
            return
        encoded = combined if pa.types.is_dictionary(combined.type) else combined.dictionary_encode()
        self.classes = [None, *(column.classify(value) for value in encoded.dictionary.to_pylist())]
        self._codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32) + 1

    def __getitem__(self, row: int) -> str | None:
        """The class of a row, or None."""
        return self.classes[self._codes[row]]

    def counts(self) -> Counter[str | None]:
        """Class -> number of rows."""
        counts = Counter[str | None]()
        for value, n in zip(self.classes, np.bincount(self._codes, minlength=len(self.classes)).tolist(), strict=True):
            counts[value] += n
        return counts


class TableLabels(Annotations):
    """The columns of tables as labels; a column such as `split`, or the folders, give official splits.

    Several tables are joined by the images that they name; a row that no table has is a missing value.

    Raises:
        FaceForgeError: no name fits an image (with the column, a name and a path), or a column is missing.
    """

    def __init__(self, files: Files, config: IngestConfig, tables: Sequence[LabelTable]) -> None:
        super().__init__()
        listings = [Listing(table, files) for table in tables]
        self._listings = [listing for listing in listings if listing.rows]
        if not self._listings:
            raise FaceForgeError(_nothing_fits(files, listings[0]))
        self._name = " and ".join(listing.table.name for listing in self._listings[:3])
        self._folders = SplitFolders(files)
        self._split = [self._official(listing) for listing in self._listings]
        self._outside = self._in_no_split()
        chosen, notes = self._choose(files, config)
        self.labels = tuple(column.name for column in chosen)
        self._values = {
            column.name: [(listing, listing.values(column)) for listing in self._having(column)] for column in chosen
        }
        named = [c for listing in self._listings for c in listing.columns if c.name == config.group and not c.many][:1]
        self._group = [(listing, listing.values(named[0])) for listing in self._having(named[0])] if named else []
        self.groups = tuple(dict.fromkeys(c.name for listing in self._listings for c in listing.columns if not c.many))
        self.documents = tuple(document for listing in self._listings for document in listing.table.documents)
        self.stamps = {name: text for listing in self._listings for name, text in listing.table.stamps.items()}
        self.vocabularies = {
            column.name: list(column.names) for column in chosen if column.names and not column.listed
        } | {name: names for listing in self._listings for name, names in listing.table.vocabularies.items()}
        self._listed = {path for listing in self._listings for path in listing.rows}
        if self.labels:
            self._folders.leave_out_unlabelled(files, self._any_label)
        self.notes = (*self._folders.notes, *self._reading_notes(listings), *self._split_notes(), *notes)
        if self.labels:
            names = (name for listing in self._listings for name in self._unmatched(listing))
            self.absent = sorted(dict.fromkeys(names))

    def includes(self, path: str) -> bool:
        """Whether it lies where images of the data set lie, or is listed elsewhere."""
        if path in self._outside:
            return False
        return self._folders.includes(path) or (path in self._listed and not self._folders.is_unlabelled(path))

    def annotate(self, path: str) -> Sample:
        """The labels of its row."""
        split, group, box = self._folders.split_of(path), "", None
        if self.labels and path not in self._listed:
            return Sample(path, problem=f"not listed in {self._name}", split=split)
        for listing, official in zip(self._listings, self._split, strict=True):
            row = listing.rows.get(path)
            if row is not None and listing.table.boxes:
                box = listing.table.boxes[row] or box
            if official is not None and row is not None:
                split = official[0].get(official[1][row]) or split
            elif row is not None and split is None and listing.table.documents:
                split = split_of_file(listing.table.documents[0])
        group = next((value for value in self._looked_up(self._group, path) if value), "")
        labels: dict[str, str | None] = {}
        for column in self.labels:
            values = set(self._looked_up(self._values[column], path)) - {None}
            if len(values) > 1:
                problem = f"its tables give different values of {column!r}: {', '.join(sorted(map(str, values)))}"
                return Sample(path, problem=problem, split=split)
            labels[column] = next(iter(values), None)
        return Sample(path, labels=labels, split=split, group=group, box=box)

    def absent_sample(self, path: str) -> Sample:
        """A row without an image."""
        return Sample(printable(path), problem=f"listed in {self._name}, but the file is absent")

    def _any_label(self, path: str) -> str | None:
        """The same text for all images that have a value in a label column."""
        values = (value for column in self.labels for value in self._looked_up(self._values[column], path))
        return None if next(filter(None, values), None) is None else "labelled"

    def _choose(self, files: Files, config: IngestConfig) -> tuple[tuple[Column, ...], tuple[str, ...]]:
        """The label columns, and notes on those that are left out."""
        columns = {column.name: column for listing in self._listings for column in listing.columns}
        requested: Sequence[str] | None = config.labels
        notes: tuple[str, ...] = ()
        if requested is None:
            bins = parse_bins(config.bins)
            counts = {c.name: self._counts(c) for c in columns.values() if not c.many and c.name != config.group}
            counts = {name: found for name, found in counts.items() if not split_column(name, found, others=True)}
            simple = [columns[name] for name in counts]
            left_out, notes = identifying_columns(counts, len({p for x in self._listings for p in x.rows}), bins)
            technical = [c.name for c in simple if c.name.lower() in _TECHNICAL and c.name not in {*left_out, *bins}]
            if technical:
                notes += (f"ingest.labels can name more columns: {', '.join(technical)}",)
            persons = [
                c.name for c in simple if _IDENTITY.fullmatch(c.name.strip()) and c.name not in {*technical, *bins}
            ]
            if persons and not config.group:
                notes += (
                    f"column {persons[0]!r} seems to name persons, so it is not taken as a label; "
                    f"ingest.group={persons[0]} keeps all images of a person in one split",
                )
            requested = [column.name for column in simple if column.name not in {*left_out, *technical, *persons}]
            if not requested:
                requested = technical or [name for name in left_out if are_numbers(counts[name])]
                notes = () if requested else notes
        name = f"{files.name} with {self._name}"
        return choose(name, list(columns.values()), requested, self._lists), notes

    def _counts(self, column: Column) -> Counter[str | None]:
        counts = Counter[str | None]()
        for listing in self._having(column):
            counts += listing.values(column).counts()
        return counts

    def _lists(self, column: Column) -> Iterator[pa.Array]:
        for listing in self._having(column):
            yield from leaf(listing.table.data.column(column.path[0]), column).chunks

    def _having(self, column: Column) -> list[Listing]:
        return [listing for listing in self._listings if any(c.path == column.path for c in listing.columns)]

    @staticmethod
    def _looked_up(sources: Sequence[tuple[Listing, Values]], path: str) -> Iterator[str | None]:
        for listing, values in sources:
            row = listing.rows.get(path)
            if row is not None:
                yield values[row]

    @staticmethod
    def _official(listing: Listing) -> tuple[Mapping[str | None, Split], Values, str] | None:
        """The split of each value of the column that gives official splits, its values, and its name."""
        for column in listing.columns:
            if column.many:
                continue
            values = listing.values(column)
            if splits := split_column(column.name, values.classes, others=True):
                return splits, values, column.name
        return None

    def _in_no_split(self) -> dict[str, str]:
        """Path -> value of the split column, of images for which it names no split although it does for others."""
        found: dict[str, str] = {}
        for listing, official in zip(self._listings, self._split, strict=True):
            if official is not None:
                values = ((path, official[1][row]) for path, row in listing.rows.items())
                found |= {path: value for path, value in values if value is not None and value not in official[0]}
        return found

    def _unmatched(self, listing: Listing) -> list[str]:
        matched = set(listing.rows.values())
        names = listing.table.data.column(listing.key).to_pylist()
        inside = f"{listing.table.folder}/" if listing.table.folder else ""
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            if name:
                first.setdefault(clean_name(str(name)), row)
        return [inside + name for name, row in first.items() if row not in matched]

    def _split_notes(self) -> list[str]:
        notes: list[str] = []
        if self._outside:
            listed = ", ".join(sorted(set(self._outside.values())))
            notes.append(f"images of the splits {listed} are left out ({len(self._outside):,})")
        for listing, official in zip(self._listings, self._split, strict=True):
            if official is not None and official[2].strip().lower() not in SPLIT_COLUMNS:
                notes.append(f"column {official[2]!r} gives the official split")
            columns = (column for column in listing.columns if official is None and not column.many)
            notes += filter(None, (unclear_split(column.name, listing.values(column).classes) for column in columns))
        return notes

    @staticmethod
    def _reading_notes(listings: Sequence[Listing]) -> list[str]:
        notes: list[str] = []
        for listing in listings:
            name = listing.table.name
            notes += listing.table.notes
            if not listing.rows:
                notes.append(f"not used: {name}, none of its names (column {listing.key!r}) fits an image")
            elif listing.difference:
                notes.append(f"{name}: names were matched to files without regard to {listing.difference}")
        return notes


def _candidates(data: pa.Table, keys: set[str]) -> list[str]:
    """Columns that may hold the names of images, the likeliest first.

    Names with the suffix of an image come before others: numbers of rows can look like the names of numbered images.
    """
    step = max(data.num_rows // _SAMPLE, 1)
    texts = [f.name for f in data.schema if any(check(_value_type(f.type)) for check in _MAY_BE_NAMES)]
    values = {name: [str(v) for v in data.column(name)[::step].to_pylist() if v is not None] for name in texts}

    def rank(name: str) -> tuple[bool, bool, bool]:
        plain = name.strip().lower().replace(" ", "_")
        bare = not any(suffix(value) in IMAGE_SUFFIXES for value in values[name])
        return bare, plain not in FILE_COLUMNS, plain in _NUMBERS

    ordered = sorted(texts, key=rank)
    plausible = [name for name in ordered if any(identity_key(value) in keys for value in values[name])]
    return plausible or ordered[:1]


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _without_repeats(table: LabelTable, key: str, names: list[str | None]) -> list[str | None]:
    """The names with None for later rows that are equal; a FaceForgeError if they differ."""
    if not table.key and key.strip().lower() not in FILE_COLUMNS:
        return names  # a column of another meaning may repeat its values
    first: dict[str, int] = {}
    kept = list(names)
    for row, name in enumerate(names):
        if name is None:
            continue
        name = clean_name(name)
        if name not in first:
            first[name] = row
        elif table.data.slice(row, 1).to_pylist() == table.data.slice(first[name], 1).to_pylist():
            kept[row] = None
        else:
            raise FaceForgeError(f"label file {table.name} lists {name} twice (again in row {row + 1}); keep one")
    return kept


def _nothing_fits(files: Files, listing: Listing) -> str:
    names, path = listing.names(), next(iter(files.paths), "")
    return (
        f"{files.name}: none of the {len(names):,} names in {listing.table.name} fits an image: they were taken from "
        f"column {listing.key!r} (the first: {next(iter(names), '')!r}), and the first image is {path!r}; "
        "make them alike, or name another table with --labels"
    )
