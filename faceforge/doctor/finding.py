"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "skipped", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its name.
        status: ok; skipped = not set up here, and not needed for everything; warning = works, but badly;
            problem = something that has to be mended.
        told: what was found, in a line.
        remedy: what to do about it; empty unless warning or problem.
    """

    check: str
    status: Status
    told: str
    remedy: str = ""
