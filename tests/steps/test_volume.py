from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceforge.errors import FaceForgeError
from faceforge.steps.tracked import Tracking
from faceforge.steps.volume import require_writable

NOBODY = 65534


def test_a_writable_volume_gets_the_run_s_folder_and_nothing_else(tmp_path: Path) -> None:
    tracking = Tracking(None, "faceforge", "key")
    assert tracking.work_folder(str(tmp_path), "prepared") == tmp_path / "key" / "prepared"
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]
    assert not list((tmp_path / "key").iterdir())
    assert tracking.work_folder("s3://bucket/x", "prepared") is None
    assert tracking.work_folder("", "prepared") is None


def test_a_volume_of_another_user_is_refused_with_both_and_the_remedy(tmp_path: Path) -> None:
    volume = tmp_path / "checkpoints"
    volume.mkdir(mode=0o555)
    message = refusal(volume, volume / "key")
    assert message.startswith(f"volume {volume} is not writable (Permission denied): this step runs as user ")
    owner = volume.stat()
    assert f"the volume belongs to user {owner.st_uid}, group {owner.st_gid}, mode 555" in message
    assert "faceforge-doctor" in message


def refusal(volume: Path, folder: Path) -> str:
    """The message of `require_writable`, called by an ordinary user."""
    if os.geteuid():
        with pytest.raises(FaceForgeError) as refused:
            require_writable(volume, folder)
        return str(refused.value)
    for parent in (volume, *volume.parents):  # pytest's folders are private to their owner
        if parent.stat().st_mode & 0o005 != 0o005 and parent.is_relative_to("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    reader, writer = os.pipe()
    if not os.fork():
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            require_writable(volume, folder)
        except FaceForgeError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        return stream.read()
