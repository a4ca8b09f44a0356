"""What ingest finds is printed by the step itself, so that pipelines show it as the command line does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.errors import FaceForgeError
from faceforge.steps.ingest import run_ingest


def photos(root: Path, count: int) -> Path:
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        root.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / f"{number}.png")
    (root / "IMG_1.mov").write_bytes(b"video")
    (root / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    return root


def run(source: Path, out: Path, for_evaluation: bool) -> None:
    run_ingest(
        source=str(source),
        labels=None,
        preset="toy",
        settings="",
        out=out,
        tracking=None,
        for_evaluation=for_evaluation,
    )


def test_the_step_prints_what_was_passed_over_and_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(photos(tmp_path / "photos", 150), tmp_path / "set", for_evaluation=True)
    printed = capsys.readouterr().out
    assert "photos: train 86 · holdout 64 · 1 rejected · 0 duplicates" in printed
    assert "note: skipped: 1 files that are not images (1 .mov)" in printed
    assert "IMG_2.HEIC" in printed
    run(tmp_path / "photos", tmp_path / "set", for_evaluation=True)  # up to date
    assert "1 .mov" in capsys.readouterr().out


def test_a_pipeline_refuses_too_few_images_before_it_trains(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="add at least 97"):
        run(photos(tmp_path / "photos", 30), tmp_path / "set", for_evaluation=True)
