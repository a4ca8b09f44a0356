"""Revision of the running code, and its container image."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path


@cache
def code_revision() -> str:
    """FACEFORGE_REVISION (images set it), else the git commit of this checkout (`-dirty` if changed), else empty."""
    if stated := os.environ.get("FACEFORGE_REVISION", ""):
        return stated
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def container_image() -> str:
    """FACEFORGE_IMAGE, which compiled pipelines set, if this process runs in one of our images; else empty.

    A local run of the same pipeline also sees that variable, but not FACEFORGE_REVISION, which only images set.
    """
    return os.environ.get("FACEFORGE_IMAGE", "") if os.environ.get("FACEFORGE_REVISION") else ""
