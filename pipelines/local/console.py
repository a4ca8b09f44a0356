"""Console output of a local run: the name, progress lines and duration of each step. The log file gets every line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TextIO

from pipelines.definition.definitions import CLOSE

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '(?P<step>[\w-]+)'")
_ENDED = re.compile(r"Task '(?P<step>[\w-]+)' finished with status (?P<status>\w+)")
_SKIPPED = re.compile(r"Task (?P<step>[\w-]+) cache hit")
_INDENT = "    "  # kfp indents what comes from a step, and only that

_NOISE = re.compile(
    r"\[KFP Executor|INFO +\[alembic|\d{4}[/-]\d\d[/-]\d\d \d\d:\d\d:\d\d(\.\d+)?:? (INFO|WARNING|[IWE]) "
    r"|[IWE]\d{4} |I0000|WARNING: All log messages before absl|To enable the following instructions|To rebuild"
)
_WARNING = re.compile(r"\S+:\d+: \w*Warning: ")
_TRACEBACK = "Traceback (most recent call last)"


class Console:
    """Reads the worker's output line by line; writes every line to `log` and passes relevant ones to `show`.

    Attributes:
        current: the step that is running, or ran last.
        failed: the step that has failed.
        reason: the last `error: ...` line of the current step, or the last line of its traceback.
        seconds: duration of each finished step.
        step_at_work: a step is running and has printed something.
    """

    def __init__(self, steps: tuple[str, ...], log: TextIO, show: Callable[[str], None] = print) -> None:
        self.current = ""
        self.failed = ""
        self.reason = ""
        self.seconds: dict[str, float] = {}
        self.step_at_work = False
        self._steps, self._log, self._show = steps, log, show
        self._started = time.monotonic()
        self._running = False  # lines are a step's only while it runs: kfp also indents the outputs that it lists later
        self._in_json = self._in_traceback = self._in_warning = False

    def feed(self, line: str) -> None:
        """Processes one line of the worker's output."""
        self._log.write(line if line.endswith("\n") else line + "\n")
        self._log.flush()
        text = _ANSI.sub("", line.rstrip("\n"))
        if self._running and text.startswith(_INDENT):
            self.step_at_work = True
            self._step_line(text.removeprefix(_INDENT).rstrip())
        else:
            self._runner_line(text)

    def _runner_line(self, text: str) -> None:
        if match := _STARTED.search(text):
            self._started, self.current = time.monotonic(), match["step"]
            self.reason = self.reason if self.failed else ""  # later steps do not explain a failure
            self._running = True
            if self.current != CLOSE:
                self._show(self._title(match["step"]))
        elif match := _SKIPPED.search(text):
            self._show(f"{self._title(match['step'])} · already done")
        elif match := _ENDED.search(text):
            step, seconds = match["step"], time.monotonic() - self._started
            self.seconds[step] = seconds
            self._running = self.step_at_work = self._in_json = self._in_traceback = self._in_warning = False
            if step == CLOSE:
                return
            if match["status"] == "SUCCESS":
                self._show(f"{_INDENT}  done in {seconds:.1f} s")
            else:
                self.failed = step
        elif self._in_traceback or text.startswith(_TRACEBACK):
            self._trace(text)  # of the worker itself

    def _step_line(self, text: str) -> None:
        if self._in_json:
            self._in_json = text != "}"
        elif text.startswith("[KFP Executor") and text.endswith("Got executor_input:"):
            self._in_json = True
        elif self._in_traceback or text.startswith(_TRACEBACK):
            self._trace(text)
        elif _WARNING.search(text):
            self._in_warning = True
        elif self._in_warning and text.startswith(" "):
            self._in_warning = False
        elif text.startswith("error: ") and not self.failed:
            self.reason = text.removeprefix("error: ")
        elif text.strip() and self.current != CLOSE and not _NOISE.match(text):
            self._in_warning = False
            self._show(f"{_INDENT}  {text}")

    def _trace(self, text: str) -> None:
        """Tracebacks go to the log only; the last line becomes the reason."""
        self._in_traceback = text.startswith((_TRACEBACK, " ")) or not text
        if not self._in_traceback:
            self.reason = text

    def _title(self, step: str) -> str:
        if step not in self._steps:
            return step
        return f"[{self._steps.index(step) + 1}/{len(self._steps)}] {step}"
