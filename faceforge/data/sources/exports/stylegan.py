"""`dataset.json` of StyleGAN's `dataset_tool.py`: `{"labels": [[path, class], ...]}`, or null."""

from __future__ import annotations

import json

from faceforge.data.sources.files import Files
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable
from faceforge.errors import FaceForgeError

NAME = "dataset.json"


def read_stylegan(files: Files) -> list[LabelTable]:
    """The table of a `dataset.json` at the top; with `"labels": null` it has no label columns. [] if there is none."""
    if NAME not in files.documents:
        return []
    try:
        content = json.loads(files.read(NAME))
    except (ValueError, RecursionError):
        return []
    if not isinstance(content, dict) or "labels" not in content or "format_version" in content:
        return []
    labels = content["labels"]
    if labels is None:
        data = table_of({"file_name": path} for path in files.paths)
    else:
        try:
            data = table_of({"file_name": str(path), **_columns(value)} for path, value in labels)
        except (TypeError, ValueError):
            raise FaceForgeError(f"{NAME} of {files.name}: `labels` is not a list of [path, class]") from None
    return [LabelTable(NAME, data, key="file_name", documents=(NAME,))]


def _columns(value: object) -> dict[str, object]:
    """A class is the column `label`; a vector is one column for each of its numbers."""
    if isinstance(value, list):
        return {f"label_{place}": number for place, number in enumerate(value)}
    return {"label": value}
