"""The benchmark of growth: a point of ingest measured, a command stopped, the picture drawn."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faceforge.config import resolve


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    return import_module("benchmarks.growth")


def test_ingest_is_measured(growth: Any, tmp_path: Path) -> None:
    (point,) = growth.ingest(Namespace(counts=[300]), tmp_path)
    assert (point["part"], point["count"]) == ("ingest", 300)
    assert point["cpu_seconds"] > 0.1
    assert point["peak_mib"] > 20
    assert (tmp_path / "300" / "dataset.json").is_file()


def test_settings_are_valid(growth: Any) -> None:
    assert resolve("toy", f"{growth.TINY}, {growth.QUICK}").model.width == 4


def test_a_command_is_killed_when_it_has_done_enough(growth: Any) -> None:
    seconds, _ = growth.watch([sys.executable, "-c", "import time; time.sleep(60)"], lambda: True)
    assert seconds < 30
    with pytest.raises(SystemExit, match="failed with exit code 3"):
        growth.watch([sys.executable, "-c", "raise SystemExit(3)"])


def test_points_become_a_picture(growth: Any, tmp_path: Path) -> None:
    points = [
        {"part": part, "count": count, "cpu_seconds": 10.0, "peak_mib": 500}
        for part in ("ingest", "train")
        for count in (1000, 10_000)
    ]
    growth.draw(points, tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.size == (1200, 360)
