"""Labels, splits and groups of image files from one or several tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.bins import parse_bins
from faceforge.data.sources.classes import are_numbers, identifying_columns
from faceforge.data.sources.columns import Column, choose, leaf
from faceforge.data.sources.files import Files, printable
from faceforge.data.sources.listing import LabelTable, Listing, Values
from faceforge.data.sources.matching import clean_name
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.split_lists import split_of_file
from faceforge.data.sources.splits import SPLIT_COLUMNS, split_column, unclear_split
from faceforge.data.sources.tree import SplitFolders
from faceforge.errors import FaceForgeError

_TECHNICAL = frozenset(  # columns about files and boxes, and splits by numbers: labels only if they are requested
    {"width", "height", "depth", "xmin", "ymin", "xmax", "ymax", "x", "y", "w", "h", "x1", "y1", "x2", "y2", "area"}
    | {"left", "top", "right", "bottom", "bbox", "size", "original_width", "original_height", "url", "license", "index"}
    | {"split", "partition", "subset", "usage"}
)
_IDENTITY = re.compile(
    r"(subject|person|identity|patient|participant|individual|celebrity|user)([-_ ]?(id|name|no))?", re.I
)


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


def _nothing_fits(files: Files, listing: Listing) -> str:
    names, path = listing.names(), next(iter(files.paths), "")
    return (
        f"{files.name}: none of the {len(names):,} names in {listing.table.name} fits an image: they were taken from "
        f"column {listing.key!r} (the first: {next(iter(names), '')!r}), and the first image is {path!r}; "
        "make them alike, or name another table with --labels"
    )
