"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "skipped", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: name of the check.
        status: ok; skipped = not set up here and not always needed; warning = works with limits; problem = must be
            fixed.
        message: the result in one line.
        remedy: what to do about it; empty unless warning or problem.
    """

    check: str
    status: Status
    message: str
    remedy: str = ""
