"""CelebA as it is published (and as Kaggle re-publishes it): images, and lists of what is known about them.

Liu et al. (2015), Deep Learning Face Attributes in the Wild: 202,599 images, 10,177 identities, 40 attributes.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath

from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.columns import Column, usual
from faceforge.data.sources.files import Files
from faceforge.data.sources.labelled import Labelling
from faceforge.data.sources.samples import Sample, choose_labels
from faceforge.errors import FaceForgeError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_celeba"
WILD = "img_celeba"  # the folder of the original photographs
FOLDERS = ("img_align_celeba", "img_align_celeba_png", WILD)  # each holds all images
BOXES, WILD_LANDMARKS, ALIGNED_LANDMARKS = "list_bbox_celeba", "list_landmarks_celeba", "list_landmarks_align_celeba"
ALIGNED_SIZE = (178, 218)  # of the aligned images, pixels: what their landmarks refer to
_CLASSES = {"1": "1", "-1": "0", "0": "0"}
_SPLITS: dict[str, Split] = {"0": "train", "1": "holdout", "2": "holdout"}


class CelebaLabels(Labelling):
    """What CelebA's lists say about its images; any list may be missing.

    Attributes become label columns with the classes `0` and `1`, the partition official splits (validation and test are
    held out), identities groups. Landmarks are used for the images they belong to; those of aligned images are scaled
    where the images have been. Boxes belong to the original photographs (`img_celeba`), not to aligned images.

    Where the same images lie there more than once, one of the folders is taken: the aligned JPEGs before the aligned
    PNGs, and the original photographs where `ingest.crop` is `box`, or `landmarks` and theirs are there.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        lists = {PurePosixPath(path).stem.lower(): path for path in files.tables}
        notes: list[str] = []

        def opened(kind: str) -> _List:
            self.tables += (lists[kind],)
            return _List(files.table(lists[kind]), PurePosixPath(lists[kind]).name)

        def read(kind: str) -> _Rows:
            return opened(kind).read(notes) if kind in lists else {}

        self._attributes: _Rows = {}
        if ATTRIBUTES in lists:
            attributes = opened(ATTRIBUTES)
            if not attributes.columns:
                raise FaceForgeError(f"{attributes.name} has no line of column names; get the file anew")
            wanted, more = usual([Column(name, (name,)) for name in attributes.columns], config.labels)
            notes += more
            self.labels = choose_labels(files.name, attributes.columns, wanted)
            self._attributes, self._listing = attributes.read(notes, self.labels), attributes.name
        else:
            self.labels = choose_labels(files.name, (), config.labels)
        wild = config.crop == "box" or (config.crop == "landmarks" and WILD_LANDMARKS in lists)
        there = {_folder(path) for path in files.usable()}
        folders = [name for name in ((WILD, *FOLDERS[:-1]) if wild else FOLDERS) if name in there]
        self._left_out = set(folders[1:])
        if self._left_out:
            notes.append(f"{folders[0]} is taken, and not the same images in {' and '.join(folders[1:])}")
        aligned = folders[:1] != [WILD]
        self._partition, self._identities = read(PARTITION), read(IDENTITY)
        self._landmarks = read(ALIGNED_LANDMARKS if aligned else WILD_LANDMARKS)
        self._boxes = {} if aligned else read(BOXES)
        usable = (n for n, path in enumerate(files.paths) if n not in files.problems and self.takes(path))
        self._scale = _scale(files, next(usable, None), notes) if aligned and self._landmarks else 1.0
        self.notes = tuple(notes)
        listed = self._attributes or self._partition or self._identities
        there_now = {_key(path) for path in files.paths if self.takes(path)}
        self.absent = [key for key in listed if key not in there_now]

    def takes(self, path: str) -> bool:
        """Whether it lies in the folder that is taken."""
        return not self._left_out or _folder(path) not in self._left_out

    def annotate(self, path: str) -> Sample:
        """All that the lists say."""
        key = _key(path)
        row = self._attributes.get(key) if self.labels else ()
        if row is None:
            return Sample(path, problem=f"not listed in {self._listing}")
        if len(row) != len(self.labels):
            return Sample(path, problem=f"its row in {self._listing} has too few or too many values")
        return Sample(
            path,
            labels={column: _CLASSES.get(value) for column, value in zip(self.labels, row, strict=True)},
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


class _List:
    """One of CelebA's lists: its file name, and its columns (none for lists without)."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        separator = "," if name.lower().endswith(".csv") else None
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FaceForgeError(f"{name} cannot be read as UTF-8: {error}") from None
        self._said = int(lines[0]) if lines and lines[0].strip().isdigit() else None  # how many rows it has
        start = 0 if self._said is None else 1
        first = lines[start].split(separator) if len(lines) > start else []
        columns = [] if not first or _is_image_name(first[0]) else [column.strip() for column in first]
        self.columns = columns[1:] if columns and columns[0].lower() in {"image_id", "image_name"} else columns
        self._rows = (line.split(separator) for line in lines[start + bool(self.columns) :] if line.strip())

    def read(self, notes: list[str], wanted: tuple[str, ...] | None = None) -> _Rows:
        """Its rows, once; of these columns if they are named."""
        places = [self.columns.index(column) for column in wanted] if wanted is not None else None
        found: _Rows = {}
        odd = total = 0
        once: dict[str, str] = {}  # numbers repeat: one string for each saves most of the memory
        for image, *values in self._rows:
            total += 1
            whole = not self.columns or len(values) == len(self.columns)
            odd += not whole
            chosen = values if places is None else [values[place] for place in places] if whole else ["", *values]
            found[_key(image.strip())] = tuple(once.setdefault(value, value.strip()) for value in chosen)
        if self._said is not None and self._said != total:
            notes.append(f"{self.name}: its first line says {self._said:,} images, but it lists {total:,}")
        if odd:
            notes.append(f"{self.name}: {odd:,} rows have too few or too many values")
        if len(found) < total:
            notes.append(f"{self.name}: {total - len(found):,} images are listed more than once; the last row counts")
        return found


_Rows = dict[str, tuple[str, ...]]  # image name without suffix -> values


def _key(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name  # the lists say .jpg also where images have been published as .png


def _folder(path: str) -> str:
    """Which of `FOLDERS` an image lies in, or ''."""
    name = path.rpartition("/")[0].rpartition("/")[2]
    return max((folder for folder in FOLDERS if name.startswith(folder)), key=len, default="")


def _scale(files: Files, place: int | None, notes: list[str]) -> float | None:
    """How much smaller the images are than those that landmarks refer to, by this one; None = another shape."""
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
