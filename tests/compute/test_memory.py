from pathlib import Path

import pytest

from faceforge.compute import memory


def test_a_containers_memory_is_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", ())
    machine = memory.total_memory()
    assert machine > 2**28
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (str(tmp_path / "absent"), str(limit)))
    limit.write_text("1048576\n")
    assert memory.total_memory() == 2**20
    limit.write_text("max\n")
    assert memory.total_memory() == machine
