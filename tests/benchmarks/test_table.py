"""The table of `make bench`: ratios, and rows whose peer is absent; the benchmarks themselves are tested elsewhere."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FIGURES: dict[str, Any] = {
    "train_throughput.py": {
        "images_per_second": {
            "torch_float32": 50.0,
            "torch_bfloat16": 80.0,
            "faceforge_float32": 75.0,
            "faceforge_mixed_bfloat16": 120.0,
        }
    },
    "evaluation.py": {
        "samples": 10_000,
        "dimensions": 2048,
        **{f"{name}_seconds": 2.0 for name in ("frechet", "frechet_singular", "kid", "prdc", "neighbours")},
        **{f"{name}_reference_seconds": 6.0 for name in ("frechet", "frechet_singular", "neighbours")},
        "float32_images_per_second": 10.0,
        "bfloat16_images_per_second": 30.0,
    },
    "ingest.py": {"faceforge_images_per_second": 900.0, "tfds_images_per_second": 600.0},
    "serving.py": {"images_per_second": 900.0, "network_images_per_second": 1000.0},
    "generate.py": {"keras_cpu_images_per_second": 100.0, "onnx_cpu_images_per_second": 200.0},
}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    module = import_module("benchmarks.table")
    monkeypatch.setattr(module, "script", lambda name, *arguments: [FIGURES[name]])
    return module


def test_a_ratio_above_one_means_faster(table: Any) -> None:
    rows = [row for part in table.PARTS.values() for row in part("", False)]
    ratios = {(row.what.partition(",")[0], row.peer): row.ratio for row in rows}
    assert ratios["training", "PyTorch, plain"] == 1.5
    assert ratios["training", "PyTorch, bfloat16, channels_last"] == 1.5
    assert ratios["Frechet distance", "pytorch-fid's formula"] == 3  # seconds: less is better
    assert ratios["ingest", "TFDS ImageFolder"] == 1.5
    assert ratios["sampling", "onnxruntime"] == 0.5
    assert ratios["HTTP service", "its network alone"] == 0.9
    assert {row.ratio for row in rows if row.peer in ("torch-fidelity", "prdc")} == {None}  # not installed


def test_tuned_pytorch_is_the_faster_of_both(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = {**FIGURES["train_throughput.py"]["images_per_second"], "torch_compiled": 100.0}
    compiled["faceforge_mixed_bfloat16"] = compiled.pop("faceforge_mixed_bfloat16")  # ours come last
    monkeypatch.setattr(table, "script", lambda *_: [{"images_per_second": compiled}])
    fastest = next(row for row in table.training("python", False) if "fastest" in row.what)
    assert (fastest.peer, fastest.ratio) == ("PyTorch, bfloat16, channels_last, compiled", 1.2)


def test_an_absent_peer_leaves_a_row_without_a_ratio(table: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["table.py", "--only", "ingest"])
    table.main()
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header == "| what | FaceForge | peer | ratio | machine |"
    assert [row.split(" | ")[2:4] for row in rows][1:3] == [
        ["Hugging Face datasets: not measured", ""],
        ["bare loop, writes nothing: not measured", ""],
    ]
    assert "900 images/s | TFDS ImageFolder: 600 images/s | 1.50 |" in rows[0]
