"""Patterns of file names such as `{age}_{gender}_{race}_{stamp}`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from faceforge.data.preprocess.formats import IMAGE_SUFFIXES
from faceforge.errors import FaceForgeError

_FIELD = re.compile(r"\{([^{}]*)\}")
_EXAMPLE = "write, for example, {age}_{gender}_{race}_{stamp}"


class NamePattern:
    """A pattern that describes a file name without its last suffix or, if it contains `/`, the end of a path.

    A field has at least one character and ends where the text after it begins; the last field takes the rest.

    Args:
        text: the pattern.
        setting: the setting that holds it, for messages.

    Attributes:
        fields: names of the fields, in order.

    Raises:
        FaceForgeError: the pattern is malformed.
    """

    def __init__(self, text: str, setting: str) -> None:
        pieces = _FIELD.split(text)  # text, field, text, field, ..., text
        texts, self.fields = pieces[::2], pieces[1::2]
        wrong = f"{setting} = {text!r}"
        if not self.fields or any("{" in part or "}" in part for part in texts):
            raise FaceForgeError(f"{wrong} has no field in braces, or an unpaired brace; {_EXAMPLE}")
        if bad := [field for field in self.fields if not field.isidentifier()]:
            raise FaceForgeError(f"{wrong}: {bad[0]!r} is not a field name (letters, digits, _); {_EXAMPLE}")
        if twice := [field for field, count in Counter(self.fields).items() if count > 1]:
            raise FaceForgeError(f"{wrong} names {twice[0]!r} twice; {_EXAMPLE}")
        if "" in texts[1:-1]:
            raise FaceForgeError(f"{wrong}: two fields need some text between them; {_EXAMPLE}")
        expression = re.escape(texts[0])
        for field, after in zip(self.fields, texts[1:], strict=True):
            body = f"(?:(?!{re.escape(after)})[^/])+" if after else "[^/]+"
            expression += f"(?P<{field}>{body}){re.escape(after)}"
        self._expression = re.compile(expression)
        self._folders = text.count("/")
        self._with_suffix = any(text.lower().endswith(suffix) for suffix in IMAGE_SUFFIXES)

    def match(self, path: str) -> dict[str, str] | None:
        """Field -> text of a path; None if the path does not fit."""
        if not self._with_suffix:
            path = path[: len(path) - len(PurePosixPath(path).suffix)]
        match = self._expression.fullmatch("/".join(path.split("/")[-1 - self._folders :]))
        return match.groupdict() if match else None
