"""Keeps TensorFlow's start-up messages off the terminal.

TensorFlow's libraries log to standard error while they are loaded, before they obey TF_CPP_MIN_LOG_LEVEL. This module
applies that level, 3 by default (no messages), to the import too. Set the variable to 0 to see everything.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_SEVERITIES = "IWEF"
# absl: "I0000 00:00:1795956840.07  123 port.cc:153] ..."; TensorFlow: "2026-11-29 12:00:00.1: I tensorflow/core/..."
_LOG_LINE = re.compile(r"(?:([IWEF])\d{4} |[\d-]{10} [\d:.]+: ([IWEF]) )")
_PREAMBLE = "WARNING: All log messages before absl::InitializeLog()"


def quiet_tensorflow() -> None:
    """Sets the log level, unless the user did, and applies it to the import of TensorFlow when that happens."""
    os.environ.setdefault(LEVEL, "3")
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextmanager
def errors_only(name: str) -> Iterator[None]:
    """Lets the logger `name` report nothing below errors while the body runs."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Finder(MetaPathFinder):
    """Finds `tensorflow` as usual, and has it loaded by `_Loader`."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module with filtered standard error."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        with _filtered_stderr():
            self._loader.exec_module(module)
        if os.environ.get(LEVEL, "") >= "2":  # the Python side has a logger of its own
            logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Collects what is written to file descriptor 2, and afterwards writes the lines that pass the log level."""
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    with tempfile.TemporaryFile() as collected:
        sys.stderr.flush()
        os.dup2(collected.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            collected.seek(0)
            for line in collected.read().decode(errors="replace").splitlines(keepends=True):
                if _passes(line):
                    sys.stderr.write(line)


def _passes(line: str) -> bool:
    """Whether a line is no log message, or a log message of at least the level."""
    if line.startswith(_PREAMBLE):
        return False
    match = _LOG_LINE.match(line)
    level = os.environ.get(LEVEL, "")
    return match is None or not level.isdecimal() or _SEVERITIES.index(match[1] or match[2]) >= int(level)
