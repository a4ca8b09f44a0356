"""Text of users in Markdown: names of classes, columns and files are shown as they are and have no effect."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """A text that Markdown shows as it is, in one line: no links, pictures, tables or HTML.

    `<` and `&` become entities, since not every renderer knows `\\<`.
    """
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*\[\]|$])", r"\\\1", line)


def code(text: str) -> str:
    """A text in code type, in one line; backticks, which would end it, become apostrophes."""
    return f"`{' '.join(text.split()).replace('`', chr(39)) or ' '}`"
