"""The GPU benchmark runs on a CPU with tiny networks, and reports what could not be measured."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    return import_module("benchmarks.gpu")


def test_rows_run_apart_and_are_reported(gpu: Any, tmp_path: Path) -> None:
    shown = gpu.run(["train dcgan64, float32", "no such row"], tmp_path, "jax", 900, tiny=True)
    report = json.loads((tmp_path / "gpu.json").read_text())
    trained, failed = report["rows"]
    assert report["versions"]["jax"]
    assert trained["images_per_second"] > 0, trained
    assert trained["first_seconds"] > 0
    assert trained["tflops"] is not None
    assert trained["share_of_peak"] is None  # the peak of a CPU is not known
    assert "no such row" in failed["skipped"]
    assert shown == (tmp_path / "gpu.md").read_text()
    assert shown.count("\n| ") == 3


def test_rows_without_time_are_marked(gpu: Any, tmp_path: Path) -> None:
    gpu.run(["train dcgan64, float32"], tmp_path, "jax", 0, tiny=True)
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"][0]["skipped"] == "no time left"


def test_all_that_was_asked_for_is_measured(gpu: Any) -> None:
    names = list(gpu.rows(gpu.FULL))
    for network in gpu.NETWORKS:
        assert {f"train {network}, {precision}" for precision in gpu.PRECISIONS} <= set(names)
        assert f"sample {network}" in names
    assert sum(name.startswith("FID network") for name in names) == 2
