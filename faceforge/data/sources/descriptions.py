"""Documents called like label tables that are about the classes or the data set, not about single images."""

from __future__ import annotations

import json
import re

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.classes import MAX_CLASSES
from faceforge.data.sources.files import Files, stems, suffix
from faceforge.data.sources.text_tables import decode_text


def describes_data_set(files: Files, path: str) -> bool:
    """Whether a document is about the classes or the data set: it lists the class folders, or names of images alone."""
    if suffix(path) not in {".txt", ".csv", ".tsv", ".json"}:
        return False
    text, _ = decode_text(files.read(path), path)
    if suffix(path) == ".json":
        return _is_description(text, stems(files))
    lines = [line.strip().strip('"') for line in text.splitlines() if line.strip()]
    if path.rpartition("/")[2].startswith("metadata.") and all(
        suffix(line) in IMAGE_SUFFIXES and not re.search(r"[,;\t|]", line) for line in lines[1:]
    ):
        return len(lines) > 1
    if len(lines) > MAX_CLASSES + 1:
        return False
    folders = {folder for image in files.usable() for folder in image.split("/")[:-1]}
    cells = {cell.strip() for line in lines for cell in re.split(r"[,;\t ]", line)}
    about_images = len(lines) > len(folders) + 1 or any(suffix(cell) in IMAGE_SUFFIXES for cell in cells)
    return len(folders & cells) > 1 and not about_images


def _is_description(text: str, images: frozenset[str]) -> bool:
    """Whether a JSON text is one object of plain values, whose keys are not the names of images."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or any(isinstance(value, dict | list) for value in content.values()):
        return False
    return not any(suffix(key) in IMAGE_SUFFIXES or key in images for key in content)
