"""YOLO labels: a text file for each image, whose lines begin with the number of a class."""

from __future__ import annotations

import re
from typing import Any

from faceforge.data.preprocess.crop import Box
from faceforge.data.sources.exports.coco import largest_box
from faceforge.data.sources.files import Files, suffix
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable
from faceforge.data.sources.text_tables import decode_text

_LISTS = ("classes.txt", "obj.names", "coco.names", "predefined_classes.txt")
_LINE = re.compile(r"\s*(\d+)((\s+-?[\d.]+(e-?\d+)?){4,})?\s*")  # a class, and a box or a polygon


def read_yolo(files: Files) -> list[LabelTable]:
    """The class of each image whose objects all have one; [] if there are no such files.

    Names of classes come from `data.yaml`, `classes.txt` or `obj.names`; without them a class is its number.
    """
    stems = {path.rpartition("/")[2].rpartition(".")[0] for path in files.paths}
    paths = [p for p in files.documents if suffix(p) == ".txt" and p.rpartition("/")[2].removesuffix(".txt") in stems]
    names, lists = _class_names(files)
    rows: list[dict[str, Any]] = []
    boxes: list[Box | None] = []
    for path, content in files.read_many(paths):
        lines = content.decode("utf-8", "replace").split("\n")
        matches = [_LINE.fullmatch(line) for line in lines if line.strip()]
        if not all(matches):
            return []
        numbers = {int(match[1]) for match in matches if match}
        label = names.get(number := numbers.pop(), str(number)) if len(numbers) == 1 else None
        boxes.append(largest_box(_box(match[2]) for match in matches if match and match[2]))
        rows.append({"file_name": path.rpartition("/")[2].removesuffix(".txt"), "label": label})
    if not rows or not any(row["label"] for row in rows):
        return []
    order = {"label": list(names.values())} if names else {}
    return [
        LabelTable(
            "YOLO labels",
            table_of(rows),
            key="file_name",
            documents=(*paths, *lists),
            vocabularies=order,
            boxes=boxes if any(boxes) else (),
        )
    ]


def _box(numbers: str) -> Box:
    """A line's centre and size, or the corners of its polygon, as shares of the image: x, y, width, height."""
    values = list(map(float, numbers.split()))
    if len(values) < 6:
        x, y, width, height = values[:4]
        return max(x - width / 2, 0.0), max(y - height / 2, 0.0), width, height
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _class_names(files: Files) -> tuple[dict[int, str], list[str]]:
    """Number -> class name, and the paths of the documents that list the names."""
    for path in files.documents:
        name = path.rpartition("/")[2].lower()
        if name in _LISTS:
            text, _ = decode_text(files.read(path), path)
            return dict(enumerate(line.strip() for line in text.split("\n") if line.strip())), [path]
        if name.endswith((".yaml", ".yml")):
            import yaml

            try:
                content = yaml.safe_load(files.read(path))
            except (yaml.YAMLError, ValueError):
                continue
            classes = content.get("names") if isinstance(content, dict) else None
            if isinstance(classes, list):
                return dict(enumerate(map(str, classes))), [path]
            if isinstance(classes, dict) and all(isinstance(key, int) for key in classes):
                return {key: str(value) for key, value in classes.items()}, [path]
    return {}, []
