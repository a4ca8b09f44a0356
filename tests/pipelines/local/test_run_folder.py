from __future__ import annotations

from pathlib import Path

import pytest

from faceforge.errors import FaceForgeError
from pipelines.local.run_folder import FINISHED, create, find_unfinished, fingerprint


def test_the_newest_unfinished_run_of_the_same_parameters_is_found(tmp_path: Path) -> None:
    one, other = fingerprint({"source": "a"}), fingerprint({"source": "b"})
    assert one != other
    assert find_unfinished(tmp_path / "missing", one) is None
    done = create(tmp_path, one)
    done.update(status=FINISHED)
    assert find_unfinished(tmp_path, one) is None
    open_ = create(tmp_path, one)
    create(tmp_path, other)
    found = find_unfinished(tmp_path, one)
    assert found is not None
    assert found.root == open_.root


def test_a_foreign_or_broken_file_does_not_matter(tmp_path: Path) -> None:
    for name, text in (("20990101-000000-aaaa", "{"), ("20990101-000000-bbbb", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    assert find_unfinished(tmp_path, "x") is None


def test_updates_keep_what_they_do_not_name(tmp_path: Path) -> None:
    folder = create(tmp_path, "digest")
    folder.update(status="failed")
    assert folder.read() == {"run_key": folder.key, "fingerprint": "digest", "status": "failed", "attempts": 0}
    assert [path.name for path in folder.root.iterdir()] == ["run.json"]


def test_only_one_process_holds_a_run(tmp_path: Path) -> None:
    folder = create(tmp_path, "digest")
    with folder.lock(), pytest.raises(FaceForgeError, match="--fresh"), folder.lock():
        pass
    with folder.lock():
        pass
