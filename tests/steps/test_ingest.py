"""What ingest finds is printed by the step itself, so that pipelines show it as the command line does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from faceforge.cli.main import main
from faceforge.data.preprocess import formats
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


def test_the_mlflow_run_of_a_single_command_ends_with_it(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for command in (
        ["ingest", "toyfaces", "--out", tmp_path / "set", "--set", "ingest.limit=300", "--run", "together"],
        ["augment", "--data", tmp_path / "set", "--out", tmp_path / "more", "--run", "together"],
    ):
        result = CliRunner().invoke(main, [*map(str, command), "--tracking-uri", uri])
        assert result.exit_code == 0, result.output
        client = mlflow.MlflowClient(uri)
        (experiment,) = (found for found in client.search_experiments() if found.name == "faceforge")
        runs = client.search_runs([experiment.experiment_id])
        assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 3  # both steps under one parent


def test_heic_files_that_are_not_read_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "readable_formats", lambda: formats.FORMATS)
    message = r"30 images are too few.* add at least 98; 1 more cannot be used: HEIC needs the package pillow-heif"
    with pytest.raises(FaceForgeError, match=message):
        run(photos(tmp_path / "photos", 30), tmp_path / "set", for_evaluation=True)


def test_a_pipeline_refuses_too_few_images_before_it_trains(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="add at least 9[78]"):  # with pillow-heif the HEIC file counts
        run(photos(tmp_path / "photos", 30), tmp_path / "set", for_evaluation=True)
