"""Colour on terminals (none where output is redirected or NO_COLOR is set, https://no-color.org), and short paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TextIO

Colour = Literal["red", "green", "yellow"]
_CODES = {"red": 31, "green": 32, "yellow": 33}


def coloured(text: str, colour: Colour, stream: TextIO) -> str:
    """Text in a colour if `stream` is a terminal that may show it, else the text itself."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def relative(path: Path) -> str:
    """A path relative to the working folder if it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
