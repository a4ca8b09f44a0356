"""What Kubeflow is told about artifacts; that components pass it on is tested in pipelines/local/test_end_to_end.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.config import resolve
from faceforge.data.ingest.build import build_image_set
from faceforge.steps.artifacts import evaluation_metrics, image_set_metadata
from faceforge.steps.tracked import Tracking, tracked
from faceforge.steps.training_page import read_points, write_training_page


def test_an_image_set_is_described_with_a_link_to_its_run(tmp_path: Path, tracking_uri: str) -> None:
    images = build_image_set("toyfaces", tmp_path / "data", resolve("toy", "ingest.limit=200").ingest)
    tracking = Tracking(tracking_uri, "faceforge", "key-1")
    with tracked("ingest", tracking) as run:
        pass
    told = image_set_metadata(tmp_path / "data", tracking)
    assert told["digest"] == images.info.digest
    assert (told["train_images"], told["holdout_images"]) == tuple(c.total for c in images.info.counts.values())
    assert told["label expression"] == "neutral, smiling, glasses"
    assert f"/runs/{run.parent_id}" in str(told["mlflow_run"])
    unreachable = Tracking("http://127.0.0.1:9", "faceforge", "key-1")
    assert image_set_metadata(tmp_path / "data", unreachable) == {k: v for k, v in told.items() if k != "mlflow_run"}


def test_only_numbers_that_json_has_are_metrics(tmp_path: Path) -> None:
    metrics = {"domain/frechet": 1.5, "domain/recall": float("nan"), "inception/fid": None, "classes/other": 1.0}
    (tmp_path / "report.json").write_text(json.dumps({"metrics": metrics}))
    assert evaluation_metrics(tmp_path) == {"domain/frechet": 1.5}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder as training leaves it: the distance is measured at some points only."""
    points = [{"images_seen": n * 1000, "loss/generator": 1 / n, "loss/discriminator": n} for n in range(1, 5)]
    points[3]["holdout/sliced_wasserstein"] = 0.1
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    (tmp_path / "grids").mkdir()
    for seen, shade in ((2000, 10), (4000, 200)):
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(tmp_path / "grids" / f"{seen:09d}.png")
    return tmp_path


def test_the_page_of_a_training_has_its_curves_and_newest_grid(work: Path) -> None:
    from base64 import b64encode

    write_training_page(work, work / "page", {"mlflow_run": "http://m/#/experiments/1/runs/2?a=1&b=2"})
    page = (work / "page").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert b64encode((work / "grids" / "000004000.png").read_bytes()).decode() in page
    assert "Samples after 4,000 images" in page
    assert 'href="http://m/#/experiments/1/runs/2?a=1&amp;b=2"' in page
    assert read_points(work)[0]["images_seen"] == 1000


def test_a_training_without_log_has_an_empty_page(tmp_path: Path) -> None:
    write_training_page(tmp_path, tmp_path / "page", {})
    assert "data:image" not in (tmp_path / "page").read_text()
