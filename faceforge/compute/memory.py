"""How much memory this machine has."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory() -> int:
    """Bytes of memory of this machine, or of its container if that has less."""
    totals = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _CGROUP_LIMITS:
        try:
            totals.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such limit here
            continue
    return min(totals)
