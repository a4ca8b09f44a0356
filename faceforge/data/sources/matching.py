"""Finds the image file that each name in a label table stands for."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.data.sources.files import suffix

Key = Callable[[str], str]


def match_names(names: Sequence[str | None], paths: Sequence[str], folder: str = "") -> tuple[dict[str, int], str]:
    """Assigns rows of a table to image files.

    Names are compared as paths relative to the table's folder, then to the root, then less and less exactly: the last
    four to one parts (a list made on another machine begins with folders of that machine), without suffix, without
    regard to case, Unicode form, non-ASCII letters (damaged by old zip programs) and leading zeros. Each comparison
    assigns only names that are equal to exactly one path, and leaves the rest.

    Args:
        names: name of each row; None = the row has none.
        paths: paths of the images.
        folder: folder of the table, relative to the same root as the paths.

    Returns:
        path -> number of the row, and how names differ from their files, in words ('' = not at all).
    """
    cleaned = {row: clean_name(name) for row, name in enumerate(names) if name}
    rows: dict[str, int] = {}
    used: list[str] = []
    inside = f"{folder}/" if folder else ""
    waiting_paths, waiting = list(paths), dict(cleaned)
    for key, difference in _comparisons(inside):
        if not waiting or not waiting_paths:
            break
        own: dict[str, list[str]] = defaultdict(list)
        for path in waiting_paths:
            own[key(path)].append(path)
        named: dict[str, list[int]] = defaultdict(list)
        for row, name in waiting.items():
            named[key(inside + name if difference is None else name)].append(row)
        matched = {
            own[text][0]: found[0]
            for text, found in named.items()
            if text and len(found) == 1 and len(own.get(text, ())) == 1
        }
        if matched:
            rows |= matched
            used += [difference] if difference else []
            waiting_paths = [path for path in waiting_paths if path not in matched]
            taken = set(matched.values())
            waiting = {row: name for row, name in waiting.items() if row not in taken}
    return rows, ", ".join(used)


def clean_name(name: str) -> str:
    """A file name as in the table, with `/` between folders and without `./`; of a URL, its path."""
    text = name.strip().replace("\\", "/")
    if "://" in text:
        text = unquote(text.partition("://")[2].partition("#")[0].partition("?")[0].partition("/")[2])
    while text.startswith("./"):
        text = text[2:]
    return text


def _comparisons(inside: str) -> list[tuple[Key, str | None]]:
    """What is compared, exactest first, and how it is described; None: names are relative to the table's folder."""
    comparisons: list[tuple[Key, str | None]] = [(str, None)] if inside else []
    return [
        *comparisons,
        (str, ""),
        *((lambda path, parts=parts: _end(path, parts), "") for parts in (4, 3, 2)),
        (_last, ""),
        (_stem, ""),
        (_loose, "case or Unicode form"),
        (lambda path: _loose(_last(path)), "case or Unicode form"),
        (lambda path: _loose(_stem(path)), "case or Unicode form"),
        (lambda path: _ascii(_stem(path)), "letters that are not ASCII"),
        (lambda path: _unpadded(_stem(path)), "leading zeros"),
        (lambda path: re.sub(r"[-_. ](aligned|chip|cropped)$", "", _loose(_stem(path))), "an ending such as _aligned"),
    ]


def identity_key(name: str) -> str:
    """What remains of a file name in the loosest comparison: names with different keys never match."""
    text = re.sub(r"[-_. ](aligned|chip|cropped)$", "", _unpadded(_stem(clean_name(name))))
    return re.sub(r"[^\x00-\x7f]+", "*", unicodedata.normalize("NFC", text))


def _end(path: str, parts: int) -> str:
    """The last parts of a path; '' if it has fewer."""
    found = path.split("/")[-parts:]
    return "/".join(found) if len(found) == parts else ""


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    name = _last(path)
    return name[: -len(suffix(name))] if suffix(name) in IMAGE_SUFFIXES else name


def _loose(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _ascii(text: str) -> str:
    """Text with one `*` for each run of other than ASCII characters; '' if it has none."""
    text = unicodedata.normalize("NFC", text)
    return "" if text.isascii() else re.sub(r"[^\x00-\x7f]+", "*", text).casefold()


def _unpadded(text: str) -> str:
    """A number without leading zeros and without the `.0` of spreadsheets; other text with its last number so."""
    text = re.sub(r"\.0$", "", _loose(text))
    return re.sub(r"0*(\d+)", r"\1", text)
