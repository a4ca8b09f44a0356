"""CelebA and CelebAMask-HQ as published (also by Kaggle): images, and lists of attributes, splits and identities.

Liu et al. (2015), Deep Learning Face Attributes in the Wild: 202,599 images, 10,177 identities, 40 attributes.
Lee et al. (2020), MaskGAN: 30,000 images of CelebA-HQ with masks and the same 40 attributes.
"""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.classes import choose_labels
from faceforge.data.sources.columns import Column, default_labels
from faceforge.data.sources.files import Files
from faceforge.data.sources.samples import Sample
from faceforge.errors import FaceForgeError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_celeba"
_LIST = re.compile(r"(list_.+_celeba|list_eval_partition|identity_celeba|celebamask-hq-attribute-anno)\.(txt|csv)")
_KINDS = {"celebamask-hq-attribute-anno": ATTRIBUTES}  # other names of the same kind of list
_MASKS = "CelebAMask-HQ-mask-anno"
WILD = "img_celeba"  # the folder of the original photographs
FOLDERS = ("img_align_celeba", "img_align_celeba_png", "CelebA-HQ-img", WILD)  # each holds all images
BOXES, WILD_LANDMARKS, ALIGNED_LANDMARKS = "list_bbox_celeba", "list_landmarks_celeba", "list_landmarks_align_celeba"
ALIGNED_SIZE = (178, 218)  # of the aligned images, pixels: what their landmarks refer to
_CLASSES = {"1": "1", "-1": "0", "0": "0"}
_SPLITS: dict[str, Split] = {"0": "train", "1": "holdout", "2": "holdout"}


class CelebaLabels(Annotations):
    """Labels, splits, identities, boxes and landmarks from CelebA's lists; any list may be missing.

    Attributes become label columns with the classes `0` and `1`; the partition gives official splits (validation and
    test are held out), identities give groups. The landmarks of aligned images are scaled if the images have been.
    Boxes belong to the original photographs (`img_celeba`), not to aligned images.

    Where the same images exist in several folders, one folder is used: the aligned JPEGs before the aligned PNGs, and
    the original photographs where `ingest.crop` is `box`, or is `landmarks` and theirs exist.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        lists = _lists(files)
        notes: list[str] = []

        def opened(kind: str) -> _List:
            self.documents += (lists[kind],)
            return _List(files.read(lists[kind]), PurePosixPath(lists[kind]).name)

        def read(kind: str) -> _Rows:
            return opened(kind).read(notes) if kind in lists else {}

        self._attributes: _Rows = {}
        if ATTRIBUTES in lists:
            attributes = opened(ATTRIBUTES)
            if not attributes.columns:
                raise FaceForgeError(f"{attributes.name} has no line of column names; get the file anew")
            requested, more = default_labels([Column(name, (name,)) for name in attributes.columns], config.labels)
            notes += more
            self.labels = choose_labels(files.name, attributes.columns, requested)
            self._attributes, self._listing = attributes.read(notes, self.labels), attributes.name
        else:
            self.labels = choose_labels(files.name, (), config.labels)
        wild = config.crop == "box" or (config.crop == "landmarks" and WILD_LANDMARKS in lists)
        present = {_folder(path) for path in files.usable()}
        folders = [name for name in ((WILD, *FOLDERS[:-1]) if wild else FOLDERS) if name in present]
        self._left_out = set(folders[1:])
        if self._left_out:
            notes.append(f"{folders[0]} is used, and not the same images in {' and '.join(folders[1:])}")
        aligned = folders[:1] != [WILD]
        self._partition, self._identities = read(PARTITION), read(IDENTITY)
        self._landmarks = read(ALIGNED_LANDMARKS if aligned else WILD_LANDMARKS)
        self._boxes = {} if aligned else read(BOXES)
        usable = (n for n, path in enumerate(files.paths) if n not in files.problems and self.includes(path))
        self._scale = _scale(files, next(usable, None), notes) if aligned and self._landmarks else 1.0
        self.notes = tuple(notes)
        listed = self._attributes or self._partition or self._identities
        existing = {_key(path) for path in files.paths if self.includes(path)}
        self.absent = [key for key in listed if key not in existing]
        self.groups = (IDENTITY,)
        self.ignored = tuple(lists.values())

    def includes(self, path: str) -> bool:
        """Whether it is in the folder that is used, and not a mask."""
        return _MASKS not in path and (not self._left_out or _folder(path) not in self._left_out)

    def annotate(self, path: str) -> Sample:
        """All that the lists contain about an image."""
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

    def absent_sample(self, path: str) -> Sample:
        """An image on the official lists that does not exist."""
        return Sample(f"{path}.jpg", problem="on CelebA's list, but the file is absent", absent=True)


def is_celeba(files: Files) -> bool:
    """Whether one of CelebA's own lists is beside the images."""
    return not {ATTRIBUTES, PARTITION, IDENTITY}.isdisjoint(_lists(files))


def _lists(files: Files) -> dict[str, str]:
    """Kind of list -> its path."""
    paths = (path for path in files.documents if _LIST.fullmatch(path.rpartition("/")[2].lower()))
    stems = ((PurePosixPath(path).stem.lower(), path) for path in paths)
    return {_KINDS.get(stem, stem): path for stem, path in stems}


class _List:
    """One of CelebA's lists: its file name, and its columns (none for lists without)."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        separator = "," if name.lower().endswith(".csv") else None
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FaceForgeError(f"{name} cannot be read as UTF-8: {error}") from None
        self._declared = int(lines[0]) if lines and lines[0].strip().isdigit() else None  # how many rows it has
        start = 0 if self._declared is None else 1
        first = lines[start].split(separator) if len(lines) > start else []
        columns = [] if not first or _is_image_name(first[0]) else [column.strip() for column in first]
        self.columns = columns[1:] if columns and columns[0].lower() in {"image_id", "image_name"} else columns
        self._rows = (line.split(separator) for line in lines[start + bool(self.columns) :] if line.strip())

    def read(self, notes: list[str], wanted: tuple[str, ...] | None = None) -> _Rows:
        """Image -> values of a row; only of the `wanted` columns if they are given. Can be called once."""
        places = [self.columns.index(column) for column in wanted] if wanted is not None else None
        rows: _Rows = {}
        odd = total = 0
        once: dict[str, str] = {}  # values repeat; one object for each saves memory
        for image, *values in self._rows:
            total += 1
            whole = not self.columns or len(values) == len(self.columns)
            odd += not whole
            chosen = values if places is None else [values[place] for place in places] if whole else ["", *values]
            rows[_key(image.strip())] = tuple(once.setdefault(value, value.strip()) for value in chosen)
        if self._declared is not None and self._declared != total:
            notes.append(f"{self.name}: its first line says {self._declared:,} images, but it lists {total:,}")
        if odd:
            notes.append(f"{self.name}: {odd:,} rows have too few or too many values")
        if len(rows) < total:
            notes.append(f"{self.name}: {total - len(rows):,} images are listed more than once; the last row counts")
        return rows


_Rows = dict[str, tuple[str, ...]]  # image name without suffix -> values


def _key(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name  # the lists say .jpg also where images have been published as .png


def _folder(path: str) -> str:
    """The one of `FOLDERS` that an image is in, or ''."""
    name = path.rpartition("/")[0].rpartition("/")[2]
    return max((folder for folder in FOLDERS if name.startswith(folder)), key=len, default="")


def _scale(files: Files, place: int | None, notes: list[str]) -> float | None:
    """Scale of this image relative to those that landmarks refer to; None = it has another shape."""
    if place is None:
        return None
    try:
        data = next(files.readers([place]))()
        with Image.open(io.BytesIO(data if isinstance(data, bytes) else b"")) as image:
            width, height = image.size
    except Exception:  # a damaged image is reported when it is prepared
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
