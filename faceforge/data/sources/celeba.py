"""CelebA as it is published (and as Kaggle re-publishes it): images, and lists of what is known about them.

Liu et al. (2015), Deep Learning Face Attributes in the Wild: 202,599 images, 10,177 identities, 40 attributes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.info import Split
from faceforge.data.samples import Sample, choose_labels
from faceforge.data.sources.columns import Column, usual
from faceforge.data.sources.files import Files
from faceforge.data.sources.labelled import Labelling
from faceforge.errors import FaceForgeError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_celeba"
BOXES, WILD_LANDMARKS, ALIGNED_LANDMARKS = "list_bbox_celeba", "list_landmarks_celeba", "list_landmarks_align_celeba"
ALIGNED_SIZE = (178, 218)  # of the aligned images, pixels: what their landmarks refer to
_CLASSES = {"1": "1", "-1": "0", "0": "0"}
_SPLITS: dict[str, Split] = {"0": "train", "1": "holdout", "2": "holdout"}


class CelebaLabels(Labelling):
    """What CelebA's lists say about its images; any list may be missing.

    Attributes become label columns with the classes `0` and `1`, the partition official splits (validation and test are
    held out), identities groups. Landmarks are used for the images they belong to; those of aligned images are scaled
    where the images have been. Boxes belong to the original photographs (`img_celeba`), not to aligned images.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        lists = {PurePosixPath(path).stem.lower(): path for path in files.tables}
        aligned = not any(PurePosixPath(path).parent.name.startswith("img_celeba") for path in files.paths)
        notes: list[str] = []

        def read(kind: str, wanted: tuple[str, ...] | None = None) -> _List:
            if kind not in lists:
                return _List({}, ())
            self.tables += (lists[kind],)
            return _read(files.table(lists[kind]), PurePosixPath(lists[kind]).name, notes, wanted)

        self._attributes = _List({}, ())
        if ATTRIBUTES in lists:
            there = header(files.table(lists[ATTRIBUTES]), PurePosixPath(lists[ATTRIBUTES]).name)
            wanted, more = usual([Column(name, (name,)) for name in there], config.labels)
            notes += more
            self.labels = choose_labels(files.name, there, wanted)
            self._attributes = read(ATTRIBUTES, self.labels)
            self._listing = PurePosixPath(lists[ATTRIBUTES]).name
        else:
            self.labels = choose_labels(files.name, (), config.labels)
        self._partition, self._identities = read(PARTITION).rows, read(IDENTITY).rows
        self._landmarks = read(ALIGNED_LANDMARKS if aligned else WILD_LANDMARKS).rows
        self._boxes = {} if aligned else read(BOXES).rows
        self._scale = _scale(files, notes) if aligned and self._landmarks else 1.0
        self.notes = tuple(notes)
        listed = self._attributes.rows or self._partition or self._identities
        there_now = {_key(path) for path in files.paths}
        self.absent = [key for key in listed if key not in there_now]

    def annotate(self, path: str) -> Sample:
        """All that the lists say."""
        key = _key(path)
        row = self._attributes.rows.get(key)
        if self.labels and row is None:
            return Sample(path, problem=f"not listed in {self._listing}")
        if row is not None and len(row) != len(self.labels):
            return Sample(path, problem=f"its row in {self._listing} has too few or too many values")
        return Sample(
            path,
            labels={column: _CLASSES.get(value) for column, value in zip(self.labels, row or (), strict=True)},
            split=_SPLITS.get(_single(self._partition.get(key))),
            group=_single(self._identities.get(key)),
            box=_box(self._boxes.get(key)),
            landmarks=_landmarks(self._landmarks.get(key), self._scale),
        )

    def lack(self, path: str) -> Sample:
        """An image that the official lists name, but that is not there."""
        return Sample(f"{path}.jpg", problem="on CelebA's list, but the file is absent", absent=True)


def is_celeba(files: Files) -> bool:
    """Whether one of CelebA's own lists lies with the images."""
    return any(PurePosixPath(path).stem.lower() in {ATTRIBUTES, PARTITION, IDENTITY} for path in files.tables)


def header(content: bytes, name: str) -> list[str]:
    """Column names of a list with a header."""
    _, columns, _ = _parts(content, name)
    if not columns:
        raise FaceForgeError(f"{name} has no line of column names; get the file anew")
    return columns


@dataclass(frozen=True)
class _List:
    """Image name without suffix -> values (only those wanted), and the columns."""

    rows: dict[str, tuple[str, ...]]
    columns: tuple[str, ...]


def _key(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name  # the lists say .jpg also where images have been published as .png


def _parts(content: bytes, name: str) -> tuple[int | None, list[str], Iterator[list[str]]]:
    """The number of rows that a list says it has, its columns (none for lists without), its rows."""
    separator = "," if name.lower().endswith(".csv") else None
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FaceForgeError(f"{name} cannot be read as UTF-8: {error}") from None
    said = int(lines[0]) if lines and lines[0].strip().isdigit() else None
    start = 0 if said is None else 1
    first = lines[start].split(separator) if len(lines) > start else []
    columns = [] if not first or _is_image_name(first[0]) else [column.strip() for column in first]
    if columns and columns[0].lower() in {"image_id", "image_name"}:
        columns = columns[1:]
    rows = (line.split(separator) for line in lines[start + bool(columns) :] if line.strip())
    return said, columns, rows


def _read(content: bytes, name: str, notes: list[str], wanted: tuple[str, ...] | None) -> _List:
    said, columns, rows = _parts(content, name)
    places = [columns.index(column) for column in wanted] if wanted is not None else None
    found: dict[str, tuple[str, ...]] = {}
    odd = total = 0
    once: dict[str, str] = {}  # numbers repeat: one string for each saves most of the memory
    for image, *values in rows:
        total += 1
        whole = not columns or len(values) == len(columns)
        odd += not whole
        chosen = values if places is None else [values[place] for place in places] if whole else ["", *values]
        found[_key(image.strip())] = tuple(once.setdefault(value, value.strip()) for value in chosen)
    if said is not None and said != total:
        notes.append(f"{name}: its first line says {said:,} images, but it lists {total:,}")
    if odd:
        notes.append(f"{name}: {odd:,} rows have too few or too many values")
    if len(found) < total:
        notes.append(f"{name}: {total - len(found):,} images are listed more than once; the last row counts")
    return _List(found, tuple(columns))


def _scale(files: Files, notes: list[str]) -> float | None:
    """How much smaller the images are than those that landmarks refer to, by the first; None = another shape."""
    place = next((place for place in range(len(files.paths)) if place not in files.problems), None)
    if place is None:
        return None
    try:
        data = next(files.readers([place]))()
        with Image.open(io.BytesIO(data if isinstance(data, bytes) else b"")) as image:
            width, height = image.size
    except Exception:  # of the many ways to be damaged none matters here: ingest will tell
        return 1.0
    scale = width / ALIGNED_SIZE[0]
    if abs(height - scale * ALIGNED_SIZE[1]) > 1:
        notes.append(f"landmarks are not used: they belong to images of 178 x 218 pixels, not {width} x {height}")
        return None
    return scale


def _single(values: tuple[str, ...] | None) -> str:
    return values[0] if values else ""


def _box(values: tuple[str, ...] | None) -> tuple[int, int, int, int] | None:
    try:
        x, y, width, height = map(int, values or ())
    except ValueError:
        return None
    return (x, y, width, height) if width > 0 and height > 0 else None


def _landmarks(values: tuple[str, ...] | None, scale: float | None) -> tuple[tuple[float, float], ...] | None:
    if values is None or scale is None or len(values) != 10:
        return None
    try:
        numbers = [float(value) * scale for value in values]
    except ValueError:
        return None
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _is_image_name(text: str) -> bool:
    return PurePosixPath(text).suffix.lower() in {".jpg", ".jpeg", ".png"}
