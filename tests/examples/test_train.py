"""The one-file example runs as its docstring says, with numbers so small that it takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

SCRIPT = Path(__file__).parents[2] / "examples" / "train.py"
TINY = (
    "ingest.limit=600, train.kimg=0.32, train.grids=5, train.log_points=20, train.checkpoints=1, model.width=8, "
    "model.max_width=16, evaluate.samples=100, evaluate.classifier_epochs=1"
)


def test_one_file_from_images_to_faces(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--set", TINY, "--out", "here"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "decision:" in done.stdout
    assert "model: here/model" in done.stdout
    assert Image.open(tmp_path / "here" / "faces.png").size == (8 * 98 - 2, 8 * 98 - 2)


def test_a_mistake_is_reported_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "nowhere", "--out", "here"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: source 'nowhere' does not exist")
