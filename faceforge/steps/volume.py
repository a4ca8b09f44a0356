"""Checks the volume that keeps checkpoints and prepared images of a run."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from faceforge.errors import FaceForgeError


def require_writable(volume: Path, folder: Path) -> None:
    """Creates `folder` on a mounted volume and checks that files can be written there.

    Raises:
        FaceForgeError: not so, with the users and groups involved and the remedy.
    """
    probe = folder / f".writable-{uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FaceForgeError(
            f"volume {volume} is not writable ({error.strerror}): this step runs as user {os.geteuid()}, group "
            f"{os.getegid()}, {_owner(volume)}; run the CronJob faceforge-doctor once (its fsGroup makes the "
            f"volume writable), or: chmod g+w and chgrp {os.getegid()} on the volume"
        ) from None


def _owner(volume: Path) -> str:
    try:
        status = volume.stat()
    except OSError as error:
        return f"and the volume cannot be read ({error.strerror})"
    return f"the volume belongs to user {status.st_uid}, group {status.st_gid}, mode {status.st_mode & 0o7777:o}"
