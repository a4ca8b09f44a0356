"""The images that the experiment keeps and removes; the comparison itself is tested in tests/usefulness."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.errors import FaceForgeError

SCRIPT = Path(__file__).parents[2] / "examples" / "rare_class.py"


def test_a_class_is_made_rare_and_the_holdout_is_kept(tmp_path: Path) -> None:
    spec = spec_from_file_location("rare_class", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    rng = np.random.default_rng(0)
    images, codes = rng.integers(0, 256, (120, 8, 8, 1), np.uint8), np.repeat([0, 1], 60)[:, None]
    splits = {"train": (images[10:110], codes[10:110]), "holdout": (images[::12], codes[::12])}
    write_image_set(tmp_path / "full", splits, {"age": ["old", "young"]})  # type: ignore[arg-type]
    example.make_rare(tmp_path / "full", tmp_path, "age", "old", 0.1)
    data, removed = (ImageSet.open(tmp_path / name).info.counts for name in ("data", "removed"))
    assert data["train"].classes["age"] == {"old": 6, "young": 50}
    assert data["holdout"].classes["age"] == {"old": 5, "young": 5}
    assert removed["train"].classes["age"] == {"old": 44, "young": 0}
    assert removed["holdout"].total == 0
    with pytest.raises(FaceForgeError, match="no class 'ancient'"):
        example.make_rare(tmp_path / "full", tmp_path, "age", "ancient", 0.1)
    with pytest.raises(FaceForgeError, match="cannot be cut to 80"):
        example.make_rare(tmp_path / "full", tmp_path, "age", "old", 0.8)


def test_help_shows_the_command_for_other_sources() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True)
    assert "--source utkface64.parquet --labels age_group --class 60+" in done.stdout
