"""Labels from file names, by a pattern such as `{age}_{gender}_{race}_{stamp}`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from faceforge.config import IngestConfig
from faceforge.data.sources.files import IMAGE_SUFFIXES, Files
from faceforge.data.sources.labelled import Labelling
from faceforge.data.sources.samples import MAX_CLASSES, Sample, choose_labels, class_name
from faceforge.errors import FaceForgeError

_FIELD = re.compile(r"\{([^{}]*)\}")


class NameLabels(Labelling):
    """The fields of a pattern are the label columns.

    The pattern describes the name without its last suffix, or, if it holds `/`, the end of the path. A field is at
    least one letter long and ends where the text after it begins; the last one takes the rest. When no columns are
    named, those fields are taken whose values repeat: a field that tells the images apart is no class.
    """

    def __init__(self, files: Files, config: IngestConfig) -> None:
        super().__init__()
        self._pattern, fields, self._folders, self._whole = _compile(config.labels_from_name)
        values: dict[str, Counter[str]] = {field: Counter() for field in fields}
        named = 0
        for path in files.usable():
            if found := self._match(path):
                named += 1
                for field in fields:
                    values[field][found[field]] += 1
        if not named:
            first = next(files.usable(), "")
            raise FaceForgeError(
                f"ingest.labels_from_name = {config.labels_from_name!r} fits none of {len(files.paths):,} names "
                f"in {files.name} (the first: {first})"
            )
        wanted = config.labels
        if wanted is None:
            wanted = tuple(field for field in fields if len(values[field]) <= min(max(named // 2, 2), MAX_CLASSES))
            left = [f"{field} ({len(values[field]):,} values)" for field in fields if field not in wanted]
            if left:
                self.notes = (f"not taken as labels, because they tell images apart: {', '.join(left)}",)
        self.labels = choose_labels(f"the pattern {config.labels_from_name}", fields, wanted)

    def annotate(self, path: str) -> Sample:
        """The fields of its name; a problem if the name does not fit."""
        found = self._match(path)
        if not found:
            return Sample(path, problem="its name does not fit ingest.labels_from_name")
        return Sample(path, labels={column: class_name(found[column]) for column in self.labels})

    def _match(self, path: str) -> re.Match[str] | None:
        if not self._whole:
            path = path[: len(path) - len(PurePosixPath(path).suffix)]
        return self._pattern.fullmatch("/".join(path.split("/")[-1 - self._folders :]))


def _compile(text: str) -> tuple[re.Pattern[str], list[str], int, bool]:
    """As a regular expression, with its fields, the folders it spans, and whether the suffix is part of it."""
    pieces = _FIELD.split(text)  # text, field, text, field, ..., text
    texts, fields = pieces[::2], pieces[1::2]
    wrong = f"ingest.labels_from_name = {text!r}"
    example = "write, for example, {age}_{gender}_{race}_{stamp}"
    if not fields or any("{" in part or "}" in part for part in texts):
        raise FaceForgeError(f"{wrong} holds no field in braces, or an odd brace; {example}")
    if bad := [field for field in fields if not field.isidentifier()]:
        raise FaceForgeError(f"{wrong}: {bad[0]!r} is no name of a field (letters, digits, _); {example}")
    if twice := [field for field, count in Counter(fields).items() if count > 1]:
        raise FaceForgeError(f"{wrong} names {twice[0]!r} twice; {example}")
    if "" in texts[1:-1]:
        raise FaceForgeError(f"{wrong}: two fields need some text between them; {example}")
    expression = re.escape(texts[0])
    for field, after in zip(fields, texts[1:], strict=True):
        body = f"(?:(?!{re.escape(after)})[^/])+" if after else "[^/]+"
        expression += f"(?P<{field}>{body}){re.escape(after)}"
    whole = any(text.lower().endswith(suffix) for suffix in IMAGE_SUFFIXES)
    return re.compile(expression), fields, text.count("/"), whole
