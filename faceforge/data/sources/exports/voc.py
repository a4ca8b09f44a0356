"""Pascal VOC annotations: an XML file for each image, and lists of splits in `ImageSets`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from xml.etree.ElementTree import Element

from faceforge.data.preprocess.crop import Box
from faceforge.data.sources.exports.coco import largest_box, single
from faceforge.data.sources.exports.xml import parse_xml
from faceforge.data.sources.files import Files
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable
from faceforge.data.sources.splits import split_called
from faceforge.data.sources.text_tables import decode_text


def read_voc(files: Files) -> list[LabelTable]:
    """The classes and attributes of the objects in all `<annotation>` files; [] if there is none.

    An image with objects of different classes has no value. `ImageSets/Main/train.txt` and the like give the split.
    """
    paths = [path for path in files.documents if path.lower().endswith(".xml")]
    if not paths:
        return []
    splits = _splits(files)
    rows: list[dict[str, Any]] = []
    boxes: list[Box | None] = []
    documents: list[str] = []
    for path, content in files.read_many(paths):
        root = parse_xml(content, path)
        if root is None or root.tag != "annotation":
            continue
        documents.append(path)
        stem = path.rpartition("/")[2].rpartition(".")[0]
        split = {"split": splits[stem]} if stem in splits else {}
        rows.append({"file_name": stem, **split, **single(_values(root))})
        boxes.append(largest_box(filter(None, map(_box, root.iter("bndbox")))))
    if not rows:
        return []
    name = "VOC annotations" if len(documents) > 1 else documents[0]
    largest = boxes if any(boxes) else []
    return [LabelTable(name, table_of(rows), key="file_name", documents=tuple(documents), boxes=largest)]


def _values(root: Element) -> dict[str, set[Any]]:
    values: dict[str, set[Any]] = defaultdict(set)
    for each in root.iter("object"):
        values["label"].add((each.findtext("name") or "").strip())
        for attribute in each.iter("attribute"):
            values[(attribute.findtext("name") or "").strip()].add((attribute.findtext("value") or "").strip())
    return values


def _box(element: Element) -> Box | None:
    """x, y, width and height of a `<bndbox>`; None if it is not complete."""
    try:
        left, top, right, bottom = (float(element.findtext(n) or "") for n in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return left, top, right - left, bottom - top


def _splits(files: Files) -> dict[str, str]:
    """Stem of an image -> name of its split."""
    splits: dict[str, str] = {}
    for path in files.documents:
        parts = path.lower().split("/")
        if "imagesets" in parts and path.endswith(".txt"):
            name = parts[-1].removesuffix(".txt")
            if split_called(name) and name != "trainval":
                text, _ = decode_text(files.read(path), path)
                splits |= {line.split()[0].rpartition("/")[2]: name for line in text.split("\n") if line.strip()}
    return splits
