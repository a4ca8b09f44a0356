"""Recognises how the labels of image files are written down, and reads them: one function for all layouts.

Explicit labels come first (a table named by the user, a pattern of names), then layouts in the order of `_FORMATS`.
Where folders are no classes, files called like the images and tables whose names fit them are read.
`docs/data.md` lists what is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.sources.annotations import Annotations
from faceforge.data.sources.celeba import CelebaLabels, is_celeba
from faceforge.data.sources.descriptions import describes_data_set
from faceforge.data.sources.exports.coco import read_coco
from faceforge.data.sources.exports.cvat import read_cvat
from faceforge.data.sources.exports.label_studio import read_label_studio
from faceforge.data.sources.exports.sidecars import read_sidecars
from faceforge.data.sources.exports.stylegan import read_stylegan
from faceforge.data.sources.exports.voc import read_voc
from faceforge.data.sources.exports.yolo import read_yolo
from faceforge.data.sources.file_names import NameLabels
from faceforge.data.sources.files import Files, before_dot, stems, suffix
from faceforge.data.sources.folders import read_document
from faceforge.data.sources.listing import LabelTable, Listing
from faceforge.data.sources.samples import stamp
from faceforge.data.sources.table_labels import TableLabels
from faceforge.data.sources.text_tables import TABLE_SUFFIXES, read_table
from faceforge.data.sources.tree import FolderLabels
from faceforge.errors import FaceForgeError

_USUAL_NAMES = ("labels", "metadata")  # of tables that are used wherever they lie
_FORMATS: tuple[Callable[[Files], list[LabelTable]], ...] = (
    read_stylegan,
    lambda files: _usual_tables(files),
    read_coco,
    read_cvat,
    read_label_studio,
    read_voc,
    read_yolo,
)
_NO_LABELS = re.compile(r"(sample[-_ ]?)?submission", re.I)  # of competitions: their values are made up
_TABLES_AT_MOST = 64  # that are looked into
_FITTING = 0.5  # share of the names or of the images that must match in a table with an unknown name


def annotations_of(files: Files, config: IngestConfig, table: str | None = None) -> Annotations:
    """Labels, splits and groups of image files.

    Args:
        files: the images and the documents beside them.
        config: which labels to keep.
        table: path of a label table that the user has named.

    Raises:
        FaceForgeError: the named table or a document of a recognised layout cannot be read, or does not fit.
    """
    if table and config.labels_from_name:
        raise FaceForgeError("labels come from a table or from ingest.labels_from_name, not from both; drop one")
    if table:
        return TableLabels(files, config, [_named_table(Path(table), files)])
    if config.labels_from_name:
        return NameLabels(files, config)
    try:
        return _recognised(files, config)
    except FaceForgeError:
        if config.labels != () or config.group:
            raise
        return FolderLabels(files, config)  # without labels it does not matter that their table is unusable


def has_usual_table(files: Files) -> bool:
    """Whether a label table with a usual name, or a list of CelebA, is beside the images."""
    return bool(_usual_paths(files)) or is_celeba(files)


def _recognised(files: Files, config: IngestConfig) -> Annotations:
    if is_celeba(files):
        return CelebaLabels(files, config)
    for read in _FORMATS:
        if tables := read(files):
            return TableLabels(files, config, tables)
    tree = FolderLabels(files, config.model_copy(update={"labels": None, "group": ""}))
    tables = read_sidecars(files) if any(suffix(path) == ".cls" for path in files.documents) else []
    if not tables and not tree.labels:
        tables = _fitting_tables(files) or read_sidecars(files)
    return TableLabels(files, config, tables) if tables else FolderLabels(files, config)


def _named_table(file: Path, files: Files) -> LabelTable:
    data, notes = read_table(read_document(file), file.name, stems(files))
    return LabelTable(file.name, data, notes=notes, stamps={file.name: stamp(file)})


def _usual_tables(files: Files) -> list[LabelTable]:
    """Tables called `labels` or `metadata`, at the top or, as Hugging Face demands, in the folder of each split.

    A list of the classes whose folders hold the images, metadata without labels, and a JSON object that describes the
    data set, are no tables.
    """
    return [_table(files, path) for path in _usual_paths(files) if not describes_data_set(files, path)]


def _usual_paths(files: Files) -> list[str]:
    paths = [path for path in files.documents if _is_table(path) and _stem(path) in _USUAL_NAMES]
    folders = {path.rpartition("/")[0] for path in files.usable()}
    near = [
        path
        for path in paths
        if any(f"{folder}/".startswith(f"{path.rpartition('/')[0]}/") for folder in folders) or "/" not in path
    ]
    first: dict[str, str] = {}  # of several in one folder, one is used
    for path in sorted(near, key=lambda path: (_USUAL_NAMES.index(_stem(path)), suffix(path))):
        first.setdefault(path.rpartition("/")[0], path)
    return list(first.values())


def _fitting_tables(files: Files) -> list[LabelTable]:
    """Tables with other names, if most of their names fit images, or most images are in them."""
    tables: list[LabelTable] = []
    images = {before_dot(path).rpartition("/")[2] for path in files.paths}  # files called so belong to one image
    candidates = (path for path in files.documents if _is_table(path) and not _NO_LABELS.fullmatch(_stem(path)))
    paths = [path for path in candidates if before_dot(path).rpartition("/")[2] not in images]
    for path in paths[:_TABLES_AT_MOST]:
        try:
            table = _table(files, path)
        except FaceForgeError:
            continue  # not a table of labels; it is mentioned as unused
        rows = len(Listing(table, files).rows)
        if rows and rows >= _FITTING * min(table.data.num_rows, len(files.paths)) and table.data.num_columns > 1:
            tables.append(table)
    return tables


def _table(files: Files, path: str) -> LabelTable:
    data, notes = read_table(files.read(path), path, stems(files))
    return LabelTable(path, data, folder=path.rpartition("/")[0], documents=(path,), notes=notes)


def _is_table(path: str) -> bool:
    return suffix(path) in TABLE_SUFFIXES


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0].lower()
