"""Finds files of arrays and reads the images, labels and splits in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Pixels
from faceforge.data.sources.array_files import is_pixel_csv, read_idx, read_npy, read_npz, read_pixel_csv
from faceforge.data.sources.columns import USUAL_LABEL, choose_image_column
from faceforge.data.sources.files import hidden
from faceforge.data.sources.folders import problem_of
from faceforge.data.sources.split_lists import split_of_file
from faceforge.data.sources.splits import split_called
from faceforge.errors import FaceForgeError

NPY, NPZ, IDX, CSV = "npy", "npz", "idx", "csv"
_LABEL_NAMES = {"y", "label", "labels", "target", "targets", "class", "classes", "arr_1", "emotion", "digit"}
_SUFFIXES = {".npy", ".npz", ".csv", ".tsv"}
_TEST_FILE = "t10k"  # what MNIST calls its test files


@dataclass(frozen=True)
class Part:
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


def array_files(path: Path) -> list[Path]:
    """The files of arrays at a path: the file itself, those of one kind in a folder, or [].

    Raises:
        FaceForgeError: a file of the folder is a link that leads out of it.
    """
    if path.is_file():
        return [path] if array_kind(path) else []
    root = path.resolve()
    kinds: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*")):
        named = file.suffix.lower() in _SUFFIXES or "images" in file.name.lower()
        if not named or file.is_dir() or any(map(hidden, file.relative_to(root).parts)):
            continue
        if problem := problem_of(root, file):
            raise FaceForgeError(f"{file.relative_to(root)} in {path}: {problem}")
        kinds.setdefault(array_kind(file), []).append(file)
    unpacked = {file.name for file in kinds.get(IDX, ())}
    idx = [file for file in kinds.get(IDX, ()) if file.suffix != ".gz" or file.name[: -len(".gz")] not in unpacked]
    return idx or [*kinds.get(NPZ, ()), *kinds.get(NPY, ())] or kinds.get(CSV, [])


def array_kind(path: Path) -> str:
    """One of the kinds of files of arrays, or '' if a file is none of them."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head == b"\x93NUM":
        return NPY
    if head == b"PK\x03\x04" and path.suffix.lower() == ".npz":
        return NPZ
    if (head[:2] == b"\0\0" and head[2:3] == b"\x08" and head[3] in (1, 3, 4)) or (
        head[:2] == b"\x1f\x8b" and "idx" in path.name.lower() and "ubyte" in path.name.lower()
    ):
        return IDX
    return CSV if path.suffix.lower() in {".csv", ".tsv"} and is_pixel_csv(path) else ""


def read_parts(files: Sequence[Path], config: IngestConfig) -> tuple[list[Part], list[Path], list[str]]:
    """The parts in files of `array_files`, all files that were read, and notes.

    Raises:
        FaceForgeError: a file is damaged or holds no images.
    """
    notes: list[str] = []
    parts: list[Part] = []
    read = list(files)
    arrays: dict[str, NDArray[Any]] = {}  # of .npy files, which belong together
    for file in files:
        match array_kind(file):
            case "idx":
                labels = labels_beside(file)
                read += labels
                parts.append(_read_idx(file, labels, notes))
            case "csv":
                images, columns = read_pixel_csv(file)
                parts.append(Part(file.stem, images, columns, split_of_file(file.name)))
            case "npz":
                parts += _split_arrays(file, read_npz(file), config, notes)
            case _:
                arrays[file.stem if len(files) > 1 else "images"] = read_npy(file)
    if arrays:
        source = files[0] if len(files) == 1 else files[0].parent
        parts += _split_arrays(source, arrays, config, notes)
        beside = [file.name for file in sorted(files[0].parent.glob("*.npy")) if file not in files]
        if beside:
            listed = ", ".join(beside[:3]) + (", ..." if len(beside) > 3 else "")
            notes.append(f"not used: {listed} beside {files[0].name}; name the folder as the source to use them")
    return parts, read, notes


def labels_beside(images: Path) -> list[Path]:
    """The idx file of labels beside one of images, as a list of at most one."""
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    candidates = [images.with_name(stem + ending) for ending in ("", ".gz")]
    return [file for file in candidates if file.name != images.name and file.is_file()][:1]


def _read_idx(file: Path, labels: Sequence[Path], notes: list[str]) -> Part:
    images = read_idx(file)
    if images.ndim < 3:
        raise FaceForgeError(f"{file} holds labels of MNIST's format (idx); name the file of images, or the folder")
    columns = {USUAL_LABEL: read_idx(labels[0])} if labels else {}
    if not columns:
        notes.append(f"{file.name} has no file of labels beside it")
    elif columns[USUAL_LABEL].shape != images.shape[:1]:
        count = len(columns[USUAL_LABEL])
        raise FaceForgeError(f"{file.name} holds {len(images):,} images, its labels are {count:,}")
    split = "holdout" if file.name.startswith(_TEST_FILE) else split_of_file(file.name.partition(".")[0] + ".idx")
    name = re.split(r"[-_.]?images", file.name)[0] or file.name
    return Part(name, _pixels(file, file.name, images, notes), columns, split)


def _split_arrays(file: Path, arrays: dict[str, NDArray[Any]], config: IngestConfig, notes: list[str]) -> list[Part]:
    """Arrays called `x_train`, `train_images`, ... in the parts of their splits."""
    if {"mu", "sigma"} <= arrays.keys():
        raise FaceForgeError(f"{file} holds feature statistics (mu, sigma), not images; `faceforge fid` reads them")
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        words = re.split(r"[-_. ]", name)
        split = next((word for word in words if split_called(word)), "")
        rest = "_".join(word for word in words if word != split) or name
        groups.setdefault(split, {})[rest] = array
    parts: list[Part] = []
    for split, group in groups.items():
        images = [name for name, array in group.items() if array.ndim in (3, 4) and array.dtype.kind in "uif"]
        if not images:
            continue
        requested = config.image_column if config.image_column in images else ""
        chosen, more = choose_image_column(file.name, images, requested)
        notes += [note for note in more if note not in notes]
        pixels = _pixels(file, chosen, group[chosen], notes)
        columns = _columns({name: array for name, array in group.items() if name not in images}, len(pixels))
        parts.append(Part(split or file.stem, pixels, columns, split_called(split) or split_of_file(file.name)))
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
        words = {name.lower(), name.lower().rpartition("_")[2]}
        column = USUAL_LABEL if not words.isdisjoint(_LABEL_NAMES) and USUAL_LABEL not in columns else name
        if array.shape[:1] != (count,) or array.dtype.kind not in "biufUS":
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
