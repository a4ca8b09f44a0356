"""Label Studio's JSON exports, complete (`JSON`) and short (`JSON-MIN`)."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from faceforge.data.sources.exports.coco import single
from faceforge.data.sources.files import Files
from faceforge.data.sources.json_tables import table_of
from faceforge.data.sources.listing import LabelTable

_IMAGE_KEYS = ("image", "img", "image_url", "url", "photo", "picture")
_SHORT_EXTRAS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}


def read_label_studio(files: Files) -> list[LabelTable]:
    """One table for each file of tasks; [] if there is none. Each control of the interface is a column."""
    tables = []
    for path in files.documents:
        if not path.endswith(".json"):
            continue
        content = files.read(path)
        if b'"annotations"' not in content and b'"annotator"' not in content and b'"annotation_id"' not in content:
            continue
        try:
            tasks = json.loads(content)
        except (ValueError, RecursionError):
            continue
        if isinstance(tasks, list) and (rows := [row for task in tasks if (row := _row(task))]):
            tables.append(LabelTable(path, table_of(rows), path.rpartition("/")[0], "file_name", (path,)))
    return tables


def _row(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict):
        return {}
    inner = task.get("data")
    data = inner if isinstance(inner, dict) else task
    address = next((data[key] for key in _IMAGE_KEYS if isinstance(data.get(key), str)), None)
    if address is None:
        return {}
    if "annotations" not in task:
        values = {key: value for key, value in task.items() if key not in {*_SHORT_EXTRAS, *_IMAGE_KEYS}}
        plain = {key: value for key, value in values.items() if isinstance(value, str | int | float)}
        return {"file_name": _name(address), **plain}
    found: dict[str, set[Any]] = defaultdict(set)
    for annotation in task["annotations"] or []:
        for result in annotation.get("result") or []:
            value = result.get("value") or {}
            chosen = value.get("choices") or value.get(result.get("type")) or value.get("rectanglelabels") or []
            texts = chosen if isinstance(chosen, list) else [chosen]
            found[result.get("from_name") or "label"] |= {text for text in texts if isinstance(text, str | int | float)}
    return {"file_name": _name(address), **single(found)}


def _name(address: str) -> str:
    """The file name in an address; Label Studio puts eight digits before the names of uploaded files."""
    parsed = urlparse(address)
    local = parse_qs(parsed.query).get("d")  # files of local storage
    name = unquote(local[0] if local else parsed.path).rpartition("/")[2]
    head, dash, rest = name.partition("-")
    return rest if dash and len(head) == 8 and all(c in "0123456789abcdef" for c in head) else name
