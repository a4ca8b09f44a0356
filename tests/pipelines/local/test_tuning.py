"""The tuning pipeline with simulated steps: two workers side by side, twice; kfp and the local runner are real."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from faceforge.config import resolve
from pipelines.definition.compile import compile_pipeline
from pipelines.definition.compile_settings import compile_settings
from pipelines.definition.definitions import TUNING
from pipelines.definition.parameters import tuning_parameters
from pipelines.local.run import run_local


def test_every_worker_searches_and_repeats(
    simulated_steps: Path,
    tmp_path: Path,
    lines: tuple[list[str], Callable[[str], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.local.run.check_locally", lambda parameters: (parameters, resolve("toy")))
    shown, show = lines
    package = compile_pipeline(tmp_path / "p.yaml", compile_settings(tune_workers=2), TUNING)
    parameters = tuning_parameters(settings="train.kimg=1", budget="20kimg", space='"train.gamma" = [1, 2]', seeds="2")
    folder = run_local(parameters, runs=tmp_path / "runs", package=package, show=show)

    called = defaultdict(list)
    for line in (simulated_steps / "calls.txt").read_text().splitlines():
        step, arguments = json.loads(line)
        called[step].append(arguments)
    assert {step: len(calls) for step, calls in called.items()} == {
        "ingest": 1, "split": 1, "search": 2, "choose": 1, "repeat": 2, "select": 1,
    }  # fmt: skip
    assert list(called) == ["ingest", "split", "search", "choose", "repeat", "select"]
    for step in ("search", "repeat"):
        assert sorted((call["worker"], call["workers"]) for call in called[step]) == [("0", "2"), ("1", "2")]
        assert {call["work"] for call in called[step]} == {f"{folder.root}/tune/{step}-{worker}" for worker in range(2)}
        assert {call["space"] for call in called[step]} == {'"train.gamma" = [1, 2]'}
    assert called["choose"][0]["searched"].count("/search/trials") == 2
    assert called["select"][0]["repeated"].count("/repeat/trials") == 2
    assert folder.result()["settings"] == "train.learning_rate=0.002"
    assert (folder.root / "study.html").is_file()
    text = "\n".join(shown)
    assert "[3/6] search" in text
    assert "train.learning_rate=0.002" in text
