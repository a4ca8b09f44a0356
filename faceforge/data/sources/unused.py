"""Notes on the documents beside images that were not used, with what they may hold."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection

from faceforge.data.sources.archives import ARCHIVE_SUFFIXES
from faceforge.data.sources.files import LABEL_SUFFIXES, Files, suffix
from faceforge.data.sources.text_tables import TABLE_SUFFIXES, read_table
from faceforge.errors import FaceForgeError

_SINGLE, _SUFFIXES, _COLUMNS = 3, 5, 6  # how many of each are named
_LABELS = LABEL_SUFFIXES | {".mat", ".xlsx", ".xls", ".pkl", ".npy", ".npz", ".h5", ".hdf5", ".pts"}
_HARMLESS = {"readme", "license", "licence", "copying", "changelog", "requirements", "citation"}


def describe_unused(files: Files, used: Collection[str]) -> tuple[str, ...]:
    """One note on documents that may hold labels, one on archives, and one on all others."""
    kinds: dict[str, list[str]] = defaultdict(list)
    used_set = set(used)
    for path in files.documents:
        if path not in used_set:
            kinds[suffix(path)].append(path)
    labels, others = [], Counter[str]()
    for ending, paths in sorted(kinds.items()):
        stems = [path for path in paths if path.rpartition("/")[2].partition(".")[0].lower() not in _HARMLESS]
        if ending in _LABELS and stems:
            if len(stems) <= _SINGLE:
                labels += [f"{path}{_content(files, path)}" for path in stems]
            else:
                labels.append(f"{len(stems):,} {ending} files (the first: {stems[0]})")
            others[ending] += len(paths) - len(stems)
        else:
            others[ending] += len(paths)
    notes = [f"not used, although they may hold labels: {'; '.join(labels)}"] if labels else []
    if total := others.total():
        notes.append(f"skipped: {total:,} files that are not images ({suffixes_of(others)})")
    return tuple(notes)


def suffixes_of(counts: Counter[str]) -> str:
    """The most frequent suffixes with their counts."""
    shown = ", ".join(f"{count:,} {ending or 'without suffix'}" for ending, count in (+counts).most_common(_SUFFIXES))
    return shown + (", ..." if len(+counts) > _SUFFIXES else "")


def nothing_to_read(files: Files, kind: str) -> FaceForgeError:
    """The error for a folder or an archive without images, which says what it holds instead."""
    archives = [path for path in files.documents if suffix(path) in ARCHIVE_SUFFIXES]
    if archives:
        listed = ", ".join(archives[:_SINGLE]) + (", ..." if len(archives) > _SINGLE else "")
        return FaceForgeError(f"{kind} holds no images but archives ({listed}); unpack them, or name one as the source")
    beside = suffixes_of(Counter(map(suffix, files.documents)))
    also = f", but {len(files.documents):,} other files ({beside})" if beside else ""
    return FaceForgeError(f"{kind} holds no images{also}")


def _content(files: Files, path: str) -> str:
    """What a document holds, in brackets; '' if that is not known."""
    if suffix(path) not in TABLE_SUFFIXES:
        return ""
    try:
        content = files.read(path)
    except FaceForgeError:
        return ""
    try:
        table, _ = read_table(content, path)
    except FaceForgeError:
        return _keys(content) if suffix(path) == ".json" else ""
    names = table.column_names
    return f" ({table.num_rows:,} rows: {', '.join(names[:_COLUMNS])}{', ...' if len(names) > _COLUMNS else ''})"


def _keys(content: bytes) -> str:
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    return f" (an object: {', '.join(list(keys)[:_COLUMNS])})" if isinstance(keys, dict) and keys else ""
