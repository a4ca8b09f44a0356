"""Shows the lines of a local run: on a terminal, progress as a bar in place and the decision in colour."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TextIO

from faceforge.progress import EVERY_VARIABLE
from faceforge.terminal import Colour, coloured

_PROGRESS = re.compile(r"(?P<indent> *)(?P<title>\S.*?) (?P<done>[\d,]+)/(?P<total>[\d,]+) (?P<rest>\S.*)")
_OUTCOME = re.compile(r"(?P<before>(?:decision|verdict)[: ]+)(?P<outcome>\w+)$")
_COLOURS: dict[str, Colour] = {
    "promote": "green",
    "publish": "green",
    "hold": "yellow",
    "reject": "red",
    "refuse": "red",
}
_BAR = 16  # characters


class Terminal:
    """Prints lines; call it with each line.

    Where `stream` is no terminal, all lines are printed as they are. On a terminal, a progress line replaces the one
    before it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._interactive = self._stream.isatty()
        self._in_progress = False  # the cursor stands behind a bar
        if self._interactive:
            os.environ.setdefault(EVERY_VARIABLE, "1")  # steps inherit it: a bar may move every second

    def __call__(self, line: str) -> None:
        """Prints one line."""
        progress = _PROGRESS.fullmatch(line) if self._interactive else None
        if progress and progress["done"] != progress["total"]:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[2K{_bar(progress)[:width]}")
            self._in_progress = True
            return
        self._write(f"{self._end_of_bar()}{self._in_colour(line)}\n")

    def _end_of_bar(self) -> str:
        """Removes a bar that stands on the line."""
        before, self._in_progress = self._in_progress, False
        return "\r\x1b[2K" if before else ""

    def _in_colour(self, line: str) -> str:
        outcome = _OUTCOME.fullmatch(line)
        if outcome and (colour := _COLOURS.get(outcome["outcome"].lower())):
            return outcome["before"] + coloured(outcome["outcome"], colour, self._stream)
        if "warning: " in line:
            return coloured(line, "yellow", self._stream)
        return line

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _bar(progress: re.Match[str]) -> str:
    """`train ██████░░░░ 60% · 384/640 images · 6/s · 41 s left · loss 0.6`."""
    done, total = (int(progress[name].replace(",", "")) for name in ("done", "total"))
    share = min(done / max(total, 1), 1.0)
    filled = round(share * _BAR)
    bar = "█" * filled + "░" * (_BAR - filled)
    counts = f"{progress['done']}/{progress['total']} {progress['rest']}"
    return f"{progress['indent']}{progress['title']} {bar} {share:.0%} · {counts}"
