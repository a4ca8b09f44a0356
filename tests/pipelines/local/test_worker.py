from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipelines.definition.compile import COMMITTED, compile_pipeline
from pipelines.definition.compile_settings import compile_settings
from pipelines.local.worker import remove_unfinished, with_caching


def tasks(spec: dict[str, Any]) -> dict[str, Any]:
    inner = spec["components"]["comp-steps"]["dag"]["tasks"]
    return {**spec["root"]["dag"]["tasks"], **inner}


def test_only_caching_differs_from_the_compiled_file() -> None:
    compiled, local = (
        next(yaml.safe_load_all(COMMITTED.read_text())),
        yaml.safe_load(with_caching(COMMITTED.read_text())),
    )
    for name, task in tasks(local).items():
        assert task.pop("cachingOptions") == {"enableCache": name != "close"}
    for task in tasks(compiled).values():
        task.pop("cachingOptions")
    assert local == compiled


def test_a_file_for_a_cluster_can_be_run_here_too(tmp_path: Path) -> None:
    options = compile_settings(shm_size="1Gi", checkpoint_claim="c")
    package = compile_pipeline(tmp_path / "p.yaml", options).read_text()
    assert len(list(yaml.safe_load_all(package))) == 2
    assert "platforms" not in yaml.safe_load(with_caching(package))


def test_what_a_stopped_step_has_left_is_removed(tmp_path: Path) -> None:
    done, stopped, empty = tmp_path / "run-1" / "ingest", tmp_path / "run-1" / "train", tmp_path / "run-2" / "train"
    for folder in (done, stopped, empty):
        (folder / "data").mkdir(parents=True)
    (done / "executor_output.json").write_text("{}")
    remove_unfinished(tmp_path)
    assert done.is_dir()
    assert not stopped.exists()
    assert not empty.parent.exists()
