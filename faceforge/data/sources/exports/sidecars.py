"""Labels in a file beside each image: KEY.json, KEY.cls and KEY.txt, as in WebDataset shards."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from faceforge.data.sources.files import Files
from faceforge.data.sources.table_labels import LabelTable
from faceforge.data.sources.text_tables import table_of

_SUFFIXES = ("json", "cls", "txt")


def read_sidecars(files: Files) -> list[LabelTable]:
    """The values in files called like images, a row for each image; [] if there are none.

    The fields of a JSON object are columns. The number in KEY.cls is the column `label`, unless JSON gives labels. A
    text in KEY.txt is the column `text`.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for path in files.paths:
        keys[_key(path)].append(path)
    paths = [
        path for path in files.documents if path.rpartition(".")[2] in _SUFFIXES and len(keys.get(_key(path), ())) == 1
    ]
    if not paths:
        return []
    values: dict[str, dict[str, Any]] = {path: {} for path in files.paths}
    numbers: dict[str, str] = {}
    for path, content in files.read_many(paths):
        image, kind = keys[_key(path)][0], path.rpartition(".")[2]
        text = content.decode("utf-8", "replace").strip()
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
    endings = "/".join(sorted({path.rpartition(".")[2] for path in paths}))
    return [LabelTable(f"KEY.{endings}", table_of(rows), key="file_name", documents=tuple(paths))]


def _key(path: str) -> str:
    """A path up to the first dot of its last part."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _fields(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(content, str | int | float | bool):
        return {"label": content}
    if not isinstance(content, dict):
        return {}
    return {
        key: value
        for key, value in content.items()
        if isinstance(value, str | int | float | bool) and key not in {"file_name", "key", "sha256", "md5", "uid"}
    }
