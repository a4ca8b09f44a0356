from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

FINGERPRINT = {"train.kimg": 1.0}


def save(folder: Path, step: int) -> Path:
    arrays: list[Any] = [np.full((2, 3), step, np.float32), np.arange(4)]
    return save_checkpoint(folder, Checkpoint(step, 1.5, arrays), FINGERPRINT)


def test_the_newest_of_two_generations_comes_back(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        save(tmp_path, step)
    assert len(list(tmp_path.iterdir())) == 2
    found = load_checkpoint(tmp_path, FINGERPRINT)
    assert found is not None
    assert (found.step, found.seconds) == (15, 1.5)
    np.testing.assert_array_equal(found.arrays[0], np.full((2, 3), 15, np.float32))
    assert found.arrays[1].dtype == np.arange(4).dtype


def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, 5)
    newest = save(tmp_path, 10)
    newest.write_bytes(newest.read_bytes()[:200])
    found = load_checkpoint(tmp_path, FINGERPRINT)
    assert found is not None
    assert found.step == 5
    assert newest.name in capsys.readouterr().err


def test_nothing_readable_is_an_error_and_nothing_at_all_is_not(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, FINGERPRINT) is None
    (tmp_path / "step-000000001.npz").write_text("no archive")
    with pytest.raises(FaceForgeError, match="no checkpoint in .* is readable"):
        load_checkpoint(tmp_path, FINGERPRINT)


def test_other_settings_are_named(tmp_path: Path) -> None:
    save(tmp_path, 5)
    with pytest.raises(FaceForgeError, match="train.kimg: 1.0 there, 2.0 here"):
        load_checkpoint(tmp_path, {"train.kimg": 2.0})
