"""Labels in a file for each image: KEY.json, KEY.cls and KEY.txt, as in WebDataset shards."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from faceforge.data.sources.files import Files, before_dot
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable
from faceforge.data.sources.masks import mask_files

_SUFFIXES = ("json", "cls", "txt")
_TECHNICAL = frozenset({"file_name", "key", "sha256", "md5", "uid"})


def read_sidecars(files: Files) -> list[LabelTable]:
    """The values in files called like images, beside them or in another folder; a row for each image.

    The fields of a JSON object are columns. The number in KEY.cls is the column `label`, unless JSON gives labels. A
    text in KEY.txt is the column `text`. [] if there are no such files.
    """
    documents = [path for path in files.documents if path.rpartition(".")[2] in _SUFFIXES]
    masks = mask_files(files)
    paths = [path for path in files.paths if path not in masks]
    images = _images_of(documents, paths, before_dot) or _images_elsewhere(documents, paths)
    if not images:
        return []
    values: dict[str, dict[str, Any]] = {path: {} for path in paths}
    numbers: dict[str, str] = {}
    for path, content in files.read_many(images):
        kind, text = path.rpartition(".")[2], content.decode("utf-8", "replace").strip()
        for image in images[path]:
            if kind == "json":
                values[image] |= _fields(text)
            elif kind == "cls":
                numbers[image] = text
            else:
                values[image]["text"] = text
    if not any(key != "text" for row in values.values() for key in row):
        for image, text in numbers.items():
            values[image]["label"] = text
    if not any(values.values()):
        return []
    rows = [{"file_name": path, **row} for path, row in values.items()]
    endings = "/".join(sorted({path.rpartition(".")[2] for path in images}))
    return [LabelTable(f"KEY.{endings}", table_of(rows), key="file_name", documents=tuple(images))]


def _images_of(documents: Iterable[str], images: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Document -> the images with an equal key."""
    with_key: dict[str, list[str]] = defaultdict(list)
    for image in images:
        with_key[key(image)].append(image)
    return {path: with_key[key(path)] for path in documents if key(path) in with_key}


def _images_elsewhere(documents: Sequence[str], images: Iterable[str]) -> dict[str, list[str]]:
    """Document -> the only image of that name in another folder, if most documents are called like images."""
    found = _images_of(documents, images, lambda path: before_dot(path).rpartition("/")[2])
    found = {path: owners for path, owners in found.items() if len(owners) == 1}
    return found if 2 * len(found) >= len(documents) else {}


def _fields(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(content, str | int | float | bool):
        return {"label": content}
    if isinstance(content, list) and len(content) == 1:  # of detected faces
        (content,) = content
    return _values(content) if isinstance(content, dict) else {}


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with a plain value, and objects of such fields."""
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            values |= {key: inner} if (inner := _values(value)) else {}
        elif isinstance(value, str | int | float | bool) and key not in _TECHNICAL:
            values[key] = value
    return values
