"""COCO annotations (also as Roboflow and CVAT export them), where an image has one class or attributes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from faceforge.data.preprocess.crop import Box
from faceforge.data.sources.files import Files
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable
from faceforge.errors import FaceForgeError

_PARTS = {"images", "annotations", "categories"}


def read_coco(files: Files) -> list[LabelTable]:
    """One table for each COCO file. [] if there is none.

    The column is called as the supercategory where every category has one, else `label`; attributes of images and of
    annotations are columns too. An image with different classes in a column has no value there.
    """
    tables = []
    for path in files.documents:
        if path.endswith(".json") and b'"images"' in (content := files.read(path)) and b'"annotations"' in content:
            try:
                data = json.loads(content)
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict) and data.keys() >= _PARTS:
                tables.append(_table(path, data))
    return tables


def _table(path: str, data: dict[str, Any]) -> LabelTable:
    try:
        columns = _category_columns(data["categories"])
        values: dict[Any, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
        boxes: dict[Any, list[Box]] = defaultdict(list)
        for entry in data["annotations"]:
            own = values[entry["image_id"]]
            if (category := columns.get(entry.get("category_id"))) is not None:
                own[category[0]].add(category[1])
            if len(box := entry.get("bbox") or ()) == 4:
                x, y, width, height = map(float, box)
                boxes[entry["image_id"]].append((x, y, width, height))
            for name, value in (entry.get("attributes") or {}).items():
                own[name].add(value)
        rows = [
            {"file_name": image["file_name"], **(image.get("attributes") or {}), **single(values[image["id"]])}
            for image in data["images"]
        ]
        largest = [largest_box(boxes[image["id"]]) for image in data["images"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FaceForgeError(f"{path} is not complete COCO: {type(error).__name__} {error}") from None
    order: dict[str, list[str]] = defaultdict(list)
    for column, name in columns.values():
        order[column].append(name)
    return LabelTable(
        path,
        table_of(rows),
        folder=path.rpartition("/")[0],
        key="file_name",
        documents=(path,),
        vocabularies=dict(order),
        boxes=largest if any(largest) else (),
    )


def single(values: dict[str, set[Any]]) -> dict[str, Any]:
    """Column -> the value, for columns with exactly one."""
    return {column: next(iter(found)) for column, found in values.items() if len(found) == 1}


def largest_box(boxes: Iterable[Box]) -> Box | None:
    """The box with the largest area; None if there is none."""
    return max(boxes, key=lambda box: box[2] * box[3], default=None)


def _category_columns(categories: list[dict[str, Any]]) -> dict[Any, tuple[str, str]]:
    """Id of a category -> its column and class."""
    names = {category["name"] for category in categories}
    above = [str(category.get("supercategory") or "none") for category in categories]
    by_name = all(name.lower() != "none" and name not in names for name in above)
    return {
        category["id"]: (column if by_name else "label", str(category["name"]))
        for category, column in zip(categories, above, strict=True)
    }
