"""Folders of image files: labelled by sub-folder, by a CSV, or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.samples import Sample, Source, check_classes, choose_labels, class_name, spread, stamp
from faceforge.errors import FaceForgeError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
FOLDER_COLUMN = "label"
CSV_NAMES = ("labels.csv", "metadata.csv")
FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "path")


class FolderSource(Source):
    """Images below a folder.

    With a CSV its columns are the labels; else, if there are sub-folders with images, the first folder of each path is
    its class, in the column `label`; else there are no labels.

    Raises:
        FaceForgeError: no images, an unreadable CSV, an absent label column, or a column of one class.
    """

    def __init__(self, root: Path, config: IngestConfig, labels_csv: str = "") -> None:
        self.name, self._root = root.resolve().name, root
        self.vocabularies = {}
        files = list_images(root)
        if not files:
            raise FaceForgeError(f"folder {root} holds no images ({', '.join(sorted(SUFFIXES))})")
        self._csv = _find_csv(root, labels_csv) if config.labels != () else None
        if self._csv:
            columns, rows = read_csv(self._csv)
            self.labels = choose_labels(f"{self.name} with {self._csv.name}", columns, config.labels)
            samples = self._from_rows(files, rows)
        else:
            nested = any(len(file.relative_to(root).parts) > 1 for file in files)
            self.labels = choose_labels(self.name, (FOLDER_COLUMN,) if nested else (), config.labels)
            samples = [self._from_path(file) for file in files]
        for column in self.labels:
            check_classes(self.name, column, (sample.labels.get(column) for sample in samples))
        self._samples = [samples[place] for place in spread(len(samples), config.limit)]
        self.count = len(self._samples)
        self._files = files

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of their paths."""
        return islice(self._samples, start, stop)

    def stamps(self) -> dict[str, str]:
        """The images and the CSV."""
        found = {file.relative_to(self._root).as_posix(): stamp(file) for file in self._files}
        return found | ({self._csv.name: stamp(self._csv)} if self._csv else {})

    def _from_path(self, file: Path) -> Sample:
        parts = file.relative_to(self._root).parts
        path = "/".join(parts)
        if self.labels and len(parts) == 1:
            return Sample(path, problem="lies beside the class folders, not in one")
        return Sample(path, file.read_bytes, dict.fromkeys(self.labels, parts[0]))

    def _from_rows(self, files: list[Path], rows: dict[str, dict[str, str | None]]) -> list[Sample]:
        assert self._csv is not None  # noqa: S101 - for the type checker
        there = {file.relative_to(self._root).as_posix(): file for file in files}
        names = sorted({*there, *rows})
        samples = []
        for name in names:
            if name not in there:
                samples.append(Sample(name, problem=f"listed in {self._csv.name}, but the file is absent"))
            elif name not in rows:
                samples.append(Sample(name, problem=f"not listed in {self._csv.name}"))
            else:
                labels = {column: rows[name][column] for column in self.labels}
                samples.append(Sample(name, there[name].read_bytes, labels))
        return samples


def list_images(root: Path) -> list[Path]:
    """Files with an image's suffix, sorted by path; hidden files and folders are passed over."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(folder, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found, key=lambda file: file.relative_to(root).parts)


def read_csv(file: Path) -> tuple[list[str], dict[str, dict[str, str | None]]]:
    """Label columns, and file name -> column -> class.

    The file-name column is the one called as in `FILE_COLUMNS`, else the first. Comma, semicolon or tab separate.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FaceForgeError(f"label file {file} cannot be read: {error}") from None
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    table = csv.DictReader(lines, delimiter=delimiter, restkey="")
    columns = [name.strip() for name in table.fieldnames or ()]
    if len(columns) < 2 or len(set(columns)) < len(columns):
        raise FaceForgeError(f"label file {file} needs a header: a file-name column and label columns")
    table.fieldnames = columns
    key = next((name for name in FILE_COLUMNS if name in columns), columns[0])
    labels = [name for name in columns if name != key]
    rows: dict[str, dict[str, str | None]] = {}
    for number, row in enumerate(table, 2):
        path = (row[key] or "").strip().removeprefix("./").replace("\\", "/")
        if path in rows:
            raise FaceForgeError(f"label file {file} lists {path} twice (again in row {number}); keep one")
        rows[path] = {name: class_name(row[name]) for name in labels}
    if not rows:
        raise FaceForgeError(f"label file {file} has a header but no rows")
    return labels, rows


def _find_csv(root: Path, labels_csv: str) -> Path | None:
    if labels_csv:
        if not Path(labels_csv).is_file():
            raise FaceForgeError(f"label file {labels_csv} does not exist")
        return Path(labels_csv)
    return next((root / name for name in CSV_NAMES if (root / name).is_file()), None)
