"""Images as arrays: `.npz` and `.npy` of NumPy, the idx files of MNIST, and CSV files with a column of pixels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Pixels
from faceforge.data.sources.array_files import is_pixel_csv, read_idx, read_npy, read_npz, read_pixel_csv
from faceforge.data.sources.classes import LabelRules, choose_labels, class_name
from faceforge.data.sources.columns import USUAL_LABEL, Column, choose_image_column, default_labels
from faceforge.data.sources.samples import InMemory, Sample, Source, random_subset, stamp
from faceforge.data.sources.splits import official_splits, split_called, split_column
from faceforge.errors import FaceForgeError

_LABEL_NAMES = {"y", "label", "labels", "target", "targets", "class", "classes", "arr_1", "emotion", "digit"}
_IDX = "idx"
_TEST_FILE = "t10k"  # what MNIST calls its test files


@dataclass(frozen=True)
class _Part:
    """Images of one file or split.

    Attributes:
        name: shown in paths.
        images: uint8 (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4).
        columns: column -> N values.
        split: the official split of all of them; None = unknown, or given by a column.
    """

    name: str
    images: Pixels
    columns: Mapping[str, Sequence[Any] | NDArray[Any]]
    split: Split | None = None


class ArraySource(Source):
    """Arrays of images with arrays of labels.

    The array of labels (`y`, `labels`, ...) is the column `label`; other arrays are columns by name. Names with
    `train`, `val` or `test`, or a column such as FER2013's `Usage`, give official splits.

    Raises:
        FaceForgeError: the arrays are not images, or a label column is missing or unusable.
    """

    def __init__(self, files: Sequence[Path], name: str, config: IngestConfig) -> None:
        self.name, self._files = name, files
        parts, notes = _read(files, config)
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part.images) for part in parts)])
        names = list(dict.fromkeys(column for part in parts for column in part.columns))
        self._split = next(
            ((column, splits) for column in names if (splits := split_column(column, self._classes(column)))), None
        )
        if config.group and config.group not in names:
            columns = ", ".join(names) or "none"
            raise FaceForgeError(f"ingest.group = {config.group!r} is not a column of {name}; its columns: {columns}")
        self._group = config.group
        labels = [column for column in names if column not in {self._split and self._split[0], config.group}]
        defaults = labels if _kind(files[0]) == "csv" else ()
        requested, more = default_labels([Column(column, (column,)) for column in labels], config.labels, defaults)
        chosen = choose_labels(name, labels, requested)
        self._rules = LabelRules(name, {column: Counter(self._classes(column)) for column in chosen}, config)
        self.labels, self.vocabularies = self._rules.columns, self._rules.vocabularies
        official: set[Split | None] = {part.split for part in parts}
        official |= set(self._split[1].values()) if self._split else set()
        self._official, split_notes = official_splits(official)
        self.notes = (*notes, *more, *self._rules.notes, *split_notes)
        self._chosen = random_subset(int(self._starts[-1]), config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of the arrays."""
        for number in self._chosen[start:stop].tolist():
            place = int(np.searchsorted(self._starts, number, "right")) - 1
            part, row = self._parts[place], number - int(self._starts[place])
            values = {column: class_name(_plain(part.columns[column][row])) for column in part.columns}
            split = part.split
            if self._split is not None:
                split = self._split[1].get(values.get(self._split[0])) or split
            yield Sample(
                f"{part.name}/{row:06d}",
                InMemory(_rgb(np.asarray(part.images[row]))),
                self._rules.apply({column: values.get(column) for column in self.labels}),
                split=split if self._official else None,
                group=(values.get(self._group) or "") if self._group else "",
            )

    def stamps(self) -> dict[str, str]:
        """One for each file."""
        return {file.name: stamp(file) for file in self._files}

    def _classes(self, column: str) -> list[str | None]:
        return [
            class_name(_plain(value))
            for part in self._parts
            for value in part.columns.get(column, [None] * len(part.images))
        ]


def array_files(path: Path) -> list[Path]:
    """The files of arrays at a path: the file itself, the parts of MNIST in a folder, or []."""
    if path.is_file():
        kind = _kind(path)
        return [path, *_labels_of(path)] if kind == _IDX else [path] if kind else []
    candidates = [file for file in sorted(path.iterdir()) if "images" in file.name and file.is_file()]
    images = [file for file in candidates if _kind(file) == _IDX]
    return [file for image in images for file in (image, *_labels_of(image))]


def _kind(path: Path) -> str:
    """`npz`, `npy`, `idx`, `csv`, or '' if a file is none of them."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head == b"\x93NUM":
        return "npy"
    if head == b"PK\x03\x04" and path.suffix.lower() == ".npz":
        return "npz"
    if (head[:2] == b"\0\0" and head[2:3] == b"\x08" and head[3] in (1, 3, 4)) or (
        head[:2] == b"\x1f\x8b" and "idx" in path.name.lower() and "ubyte" in path.name.lower()
    ):
        return _IDX
    return "csv" if path.suffix.lower() in {".csv", ".tsv"} and is_pixel_csv(path) else ""


def _labels_of(images: Path) -> list[Path]:
    """The idx file of labels beside one of images, as a list of at most one."""
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    candidates = [images.with_name(stem + ending) for ending in ("", ".gz")]
    return [file for file in candidates if file.name != images.name and file.is_file()][:1]


def _read(files: Sequence[Path], config: IngestConfig) -> tuple[list[_Part], list[str]]:
    notes: list[str] = []
    if _kind(files[0]) == _IDX:
        return _read_mnist(files, notes), notes
    file = files[0]
    kind = _kind(file)
    if kind == "csv":
        images, columns = read_pixel_csv(file)
        return [_Part(file.stem, images, columns)], notes
    arrays = {"images": read_npy(file)} if kind == "npy" else read_npz(file)
    if {"mu", "sigma"} <= arrays.keys():
        raise FaceForgeError(f"{file} holds feature statistics (mu, sigma), not images; `faceforge fid` reads them")
    return _split_arrays(file, arrays, config, notes), notes


def _read_mnist(files: Sequence[Path], notes: list[str]) -> list[_Part]:
    parts: list[_Part] = []
    arrays = {file: read_idx(file) for file in files}
    for file, images in arrays.items():
        if images.ndim < 3:
            continue
        labels = [arrays[other] for other in _labels_of(file) if other in arrays]
        if labels and len(labels[0]) != len(images):
            raise FaceForgeError(f"{file.name} holds {len(images):,} images, its labels are {len(labels[0]):,}")
        if not labels:
            notes.append(f"{file.name} has no file of labels beside it")
        split = "holdout" if file.name.startswith(_TEST_FILE) else split_called(file.name.split("-")[0])
        columns = {USUAL_LABEL: labels[0].tolist()} if labels else {}
        parts.append(_Part(file.name.partition("-")[0], _pixels(file, file.name, images, notes), columns, split))
    if not parts:
        raise FaceForgeError(f"{files[0]} holds labels of MNIST's format (idx); name the file of images, or the folder")
    return parts


def _split_arrays(file: Path, arrays: dict[str, NDArray[Any]], config: IngestConfig, notes: list[str]) -> list[_Part]:
    """Arrays called `x_train`, `train_images`, ... in the parts of their splits."""
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        words = name.split("_")
        split = next((word for word in words if split_called(word)), "")
        rest = "_".join(word for word in words if word != split) or name
        groups.setdefault(split, {})[rest] = array
    parts: list[_Part] = []
    for split, group in groups.items():
        images = [name for name, array in group.items() if array.ndim in (3, 4) and array.dtype.kind in "uif"]
        if not images:
            continue
        requested = config.image_column if config.image_column in images else ""
        chosen, more = choose_image_column(file.name, images, requested)
        notes += [note for note in more if note not in notes]
        pixels = _pixels(file, chosen, group[chosen], notes)
        columns = _columns({name: array for name, array in group.items() if name not in images}, len(pixels))
        parts.append(_Part(split or file.stem, pixels, columns, split_called(split)))
    if not parts:
        shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in list(arrays.items())[:6])
        raise FaceForgeError(
            f"{file} holds no array of images, uint8 (N, H, W) or (N, H, W, C), but {shapes or 'nothing'}"
        )
    return parts


def _columns(arrays: Mapping[str, NDArray[Any]], count: int) -> dict[str, Any]:
    """Label columns: one value for each image; one-hot rows become their position."""
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        column = USUAL_LABEL if name.lower() in _LABEL_NAMES else name
        if array.shape[:1] != (count,) or column in columns or array.dtype.kind not in "biufUS":
            continue
        flat = array.reshape(count, -1) if count else array
        if array.ndim == 1 or flat.shape[1] == 1:
            columns[column] = flat.ravel()
        elif array.ndim == 2 and ((flat == 0) | (flat == 1)).all() and (flat.sum(1) == 1).all():
            columns[column] = flat.argmax(1)
        elif array.ndim == 2:
            columns |= {f"{column}_{place}": flat[:, place] for place in range(flat.shape[1])}
    return columns


def _pixels(file: Path, name: str, array: NDArray[Any], notes: list[str]) -> Pixels:
    """uint8 (N, H, W) or (N, H, W, C) of an array of images."""
    if array.dtype.kind == "f":
        raise FaceForgeError(
            f"{file}: the array {name!r} holds {array.dtype} numbers, whose range is not known; "
            "save it as uint8 with values 0..255"
        )
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
        notes.append(f"{name} has its channels first, (N, C, H, W), and was transposed")
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4):
        raise FaceForgeError(f"{file}: the array {name!r} has the shape {array.shape}, not (N, H, W) or (N, H, W, C)")
    if array.dtype != np.uint8:
        if array.size and (array.min() < 0 or array.max() > 255):
            raise FaceForgeError(f"{file}: the array {name!r} holds values beyond 0..255; save it as uint8")
        array = array.astype(np.uint8)
    return array


def _rgb(pixels: Pixels) -> Pixels:
    """One image uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as (H, W, 3); transparency is laid over white."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3:].astype(np.float32) / 255
        return np.rint(pixels[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value
