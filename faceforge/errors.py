"""Errors that the user can mend: their exception, and how they become one line on the screen."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faceforge.terminal import coloured

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_CODE = 2
INTERRUPTED = 130  # stopped from outside, as shells count it
TRY_LATER = 75  # EX_TEMPFAIL of sysexits.h
_PASSWORD = re.compile(r"(:/{1,2}[^\s/:@'\"]*):[^\s'\"]+@")
_FILE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG}  # the user's to mend


class FaceForgeError(Exception):
    """A problem with the input, the configuration or the environment, reported in one line.

    The message says what was wrong, where, and what to do. Command line and pipeline steps print it
    without a traceback and exit with `exit_code`; anything else that is raised is a bug.
    """

    exit_code = EXIT_CODE


class UnavailableError(FaceForgeError):
    """A service does not answer or has failed; the same request may succeed later."""


def first_line(error: BaseException | str, limit: int = 300) -> str:
    """The first line of an error's message, at most `limit` characters; its class name if it has no message."""
    line = next(iter(str(error).strip().splitlines()), "") or ("" if isinstance(error, str) else type(error).__name__)
    return line[:limit].rstrip()


def explain(error: ValidationError) -> str:
    """The first problem of a pydantic validation in one line, as `train.kimg = -1: Input should be greater than 0`."""
    problem = error.errors(include_url=False)[0]
    place, message = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], dict):
        return message  # of a rule about several fields: the message names them
    if not place or problem["type"] in ("missing", "extra_forbidden"):
        return ": ".join(filter(None, (place, message)))
    return without_passwords(f"{place} = {_shortened(problem['input'])}: {message}")


def without_passwords(text: str) -> str:
    """A text with the passwords of all addresses in it masked, such as `http://bob:***@host`.

    A path that was made of an address (`http:/bob:...`) counts as well. A password may hold `@`: the last one counts.
    """
    return _PASSWORD.sub(r"\1:***@", text)


def _shortened(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "(a very long number)"
    return text if len(text) <= 100 else f"{text[:97]}..."


@contextmanager
def guarded(unavailable: int = EXIT_CODE) -> Iterator[None]:
    """Prints a `FaceForgeError` as one line on standard error, without a traceback, and exits with its code.

    A full or read-only disk, a file without permission and a path that is too long are reported in the same way.

    Args:
        unavailable: exit code for an `UnavailableError`.
    """
    try:
        yield
    except FaceForgeError as error:
        _report(str(error))
        sys.exit(unavailable if isinstance(error, UnavailableError) else error.exit_code)
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        place = f"{str(error.filename)[:200]}: " if error.filename else ""
        _report(f"{place}{error.strerror}")
        sys.exit(EXIT_CODE)
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)


def _report(message: str) -> None:
    print(f"{coloured('error:', 'red', sys.stderr)} {without_passwords(message)}", file=sys.stderr, flush=True)
