"""CVAT's own XML ("CVAT for images"): tags, and the labels and attributes of shapes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from faceforge.data.sources.exports.coco import single
from faceforge.data.sources.exports.xml import parse_xml
from faceforge.data.sources.files import Files
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable


def read_cvat(files: Files) -> list[LabelTable]:
    """One table for each XML file with `<annotations>` of images; [] if there is none.

    The column `label` is the label of the tags or shapes of an image, each attribute is a column, `subset` is the
    split. An image with different values in a column has no value there.
    """
    tables = []
    paths = [path for path in files.documents if path.lower().endswith("annotations.xml")]
    for path in paths:
        root = parse_xml(files.read(path), path)
        if root is None or root.tag != "annotations":
            continue
        rows = []
        for image in root.iter("image"):
            values: dict[str, set[Any]] = defaultdict(set)
            for shape in image:
                values["label"].add(shape.get("label"))
                for attribute in shape.iter("attribute"):
                    values[attribute.get("name") or ""].add((attribute.text or "").strip())
            split = {"split": image.get("subset")} if image.get("subset") else {}
            rows.append({"file_name": image.get("name"), **split, **single(values)})
        if rows:
            tables.append(LabelTable(path, table_of(rows), path.rpartition("/")[0], "file_name", (path,)))
    return tables
