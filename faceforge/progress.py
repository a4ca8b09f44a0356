"""Progress of long work: a bar on a terminal, else a line every ten seconds (pipeline steps, CI)."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

LINE_EVERY_SECONDS = 10.0
EVERY_VARIABLE = "FACEFORGE_PROGRESS_SECONDS"
"""Environment variable: seconds between two lines, where output is redirected."""


class Progress:
    """Context manager that counts finished units and shows progress.

    >>> with Progress("ingest", total=100, unit="image") as progress:
    ...     progress.advance(64, note="loss 0.7")
    """

    def __init__(self, title: str, total: int, unit: str = "image", done: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._start, self._done_before, self._done = time.monotonic(), done, done
        self._last_line = self._start
        self._printed = -1  # finished units in the last line
        self._every = float(os.environ.get(EVERY_VARIABLE) or LINE_EVERY_SECONDS)
        self._bar = (
            tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=True, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def advance(self, count: int, note: str = "") -> None:
        """Adds `count` finished units; `note` is shown beside the bar."""
        self._done += count
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= self._every:
            self._print_line(note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._printed != self._done:
            self._print_line("")

    def _print_line(self, note: str) -> None:
        self._last_line, self._printed = time.monotonic(), self._done
        seconds = max(self._last_line - self._start, 1e-9)
        rate = (self._done - self._done_before) / seconds
        left = (self._total - self._done) / rate if rate > 0 else float("inf")
        units = f" {self._unit}s" if f"{self._unit}s" != self._title else ""
        parts = [f"{self._title} {self._done:,}/{self._total:,}{units}", *([f"{rate:,.0f}/s"] if rate >= 1 else [])]
        parts.append(f"{left:,.0f} s left" if self._done < self._total else f"{seconds:,.1f} s")
        print(" · ".join([*parts, note] if note else parts), file=sys.stderr, flush=True)
