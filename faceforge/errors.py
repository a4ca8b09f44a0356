"""The one exception that means "the user can mend this", and the one place where it becomes a line on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_CODE = 2
INTERRUPTED = 130  # stopped from outside, as shells count it


class FaceForgeError(Exception):
    """A problem with the input, the configuration or the surroundings, told in one line.

    The message says what was wrong, where, and what to do. Command line and pipeline steps print it
    without a traceback and exit with `exit_code`; anything else that is raised is a bug.
    """

    exit_code = EXIT_CODE


@contextmanager
def guarded() -> Iterator[None]:
    """Turns what a user can mend into one line on standard error and an exit code, without a traceback."""
    try:
        yield
    except FaceForgeError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)
