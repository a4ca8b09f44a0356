import subprocess
import sys
from pathlib import Path

import pytest

from faceforge.errors import FaceForgeError
from faceforge.files import atomic_file, atomic_folder, exclusive_lock, safe_name, sha256_file


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic_file(target) as partial:
        partial.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(RuntimeError), atomic_file(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "one"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    for name in ("old", "new"):
        with atomic_folder(target) as partial:
            (partial / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    with pytest.raises(RuntimeError), atomic_folder(target) as partial:
        (partial / "half").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_kill_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / ".set.partial-12345678").mkdir()
    with atomic_folder(tmp_path / "set"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_kill_while_a_folder_is_replaced_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "set[1]"
    for leftover in (".set[1].replaced-12345678", ".set[1].partial-12345678"):  # put aside, not yet replaced
        (tmp_path / leftover).mkdir()
    (tmp_path / ".set[1].replaced-12345678" / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(target):
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    (tmp_path / ".set[1].replaced-abcdef01").mkdir()  # replaced, not yet removed
    with atomic_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["set[1]"]


def test_the_old_folder_is_whole_until_the_new_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()

    def killed_in_the_middle(path: Path, **_: object) -> None:
        for file in path.glob("*"):
            file.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), atomic_folder(target):
        patch.setattr("shutil.rmtree", killed_in_the_middle)
    kept = [target, *tmp_path.glob(".set.replaced-*")]
    assert any((folder / "old").exists() for folder in kept)
    with atomic_folder(target):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_sha256_of_abc(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


@pytest.mark.parametrize("name", ["", "lock"])  # a folder, a file that does not exist yet
def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    code = f"import pathlib, faceforge.files as f; f.exclusive_lock(pathlib.Path({str(path)!r}), 'busy')"
    other = [sys.executable, "-c", f"{code}.__enter__()"]
    with exclusive_lock(path):
        refused = subprocess.run(other, capture_output=True, text=True, check=False)
        assert refused.stderr.splitlines()[-1] == "faceforge.errors.FaceForgeError: busy"
        with pytest.raises(FaceForgeError, match="busy"), exclusive_lock(path, "busy"):
            pass
    assert subprocess.run(other, check=False).returncode == 0


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    texts = [f"a person with {'brown eyes, ' * 10}looking {side}" for side in ("left", "right")]
    names = [safe_name(text) for text in texts]
    assert names[0] != names[1]
    assert max(map(len, names)) == 80
    assert safe_name("short text") == "short%20text"


def test_names_are_safe_unique_and_bounded_in_bytes() -> None:
    texts = [".", "..", "...", "a/b", "a\\b", " 14", "\u2014", "\U00020000" * 80, "\U00020000" * 79]
    names = [safe_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert max(len(name.encode()) for name in names) <= 80
    assert not any(set(name) <= {"."} or "/" in name or "\\" in name for name in names)
