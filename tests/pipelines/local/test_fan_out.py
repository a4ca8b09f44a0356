"""Several pods for one step. What they compute: data/ingest/test_resume.py and steps/test_train_worker.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from pipelines.cli.pipeline import pipeline
from pipelines.definition.compile import compile_pipeline
from pipelines.definition.compile_settings import compile_settings


def compiled(path: Path, **options: object) -> dict[str, Any]:
    compile_pipeline(path, compile_settings(**options))
    return dict(next(iter(yaml.safe_load_all(path.read_text()))))


def test_shares_are_prepared_side_by_side_and_merged(tmp_path: Path) -> None:
    root = compiled(tmp_path / "p.yaml", ingest_workers=3, data_claim="photos")
    tasks = root["components"]["comp-steps"]["dag"]["tasks"]
    loop = next(name for name in tasks if name.startswith("for-loop"))
    assert tasks[loop]["parameterIterator"]["items"]["raw"] == "[0, 1, 2]"
    assert "ingest" not in tasks
    assert tasks["merge"]["dependentTasks"] == [loop]
    inner = root["components"][tasks[loop]["componentRef"]["name"]]["dag"]["tasks"]["prepare"]["inputs"]["parameters"]
    assert inner["shares"]["runtimeValue"]["constant"] == 3.0
    assert not any(task["cachingOptions"].get("enableCache") for name, task in tasks.items() if name != loop)


def test_a_share_that_fails_is_prepared_again(tmp_path: Path) -> None:
    root = compiled(tmp_path / "p.yaml", ingest_workers=3, retries=2, checkpoint_claim="checkpoints")
    shares = next(dag for dag in root["components"].values() if "prepare" in dag.get("dag", {}).get("tasks", {}))
    assert shares["dag"]["tasks"]["prepare"]["retryPolicy"]["maxRetryCount"] == 2


def test_one_machine_sees_nothing_of_it(tmp_path: Path) -> None:
    root = compiled(tmp_path / "p.yaml")
    assert not {"exec-prepare", "exec-merge", "exec-train-worker"} & set(root["deploymentSpec"]["executors"])


def test_every_pod_sees_the_images(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    options = ["compile", "--output", str(path), "--ingest-workers", "2", "--data-claim", "photos"]
    result = CliRunner().invoke(pipeline, options)
    assert result.exit_code == 0, result.output
    platform = list(yaml.safe_load_all(path.read_text()))[1]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {pods[f"exec-{step}"]["pvcMount"][0]["mountPath"] for step in ("prepare", "merge")} == {"/data"}


def test_workers_train_beside_the_step_that_keeps_the_model(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    options = "--workers 3 --checkpoint-claim checkpoints --retries 2 --gpu 1 --memory 8Gi"
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(path), *options.split()])
    assert result.exit_code == 0, result.output
    root, platform = yaml.safe_load_all(path.read_text())
    tasks = root["components"]["comp-steps"]["dag"]["tasks"]
    loop = next(name for name in tasks if name.startswith("for-loop"))
    assert tasks[loop]["parameterIterator"]["items"]["raw"] == "[1, 2]"
    assert tasks[loop]["dependentTasks"] == tasks["train"]["dependentTasks"] == ["augment"]
    assert set(tasks["evaluate"]["dependentTasks"]) == {"train", "ingest"}
    assert tasks["train"]["inputs"]["parameters"]["workers"]["runtimeValue"]["constant"] == 3.0
    inner = root["components"][tasks[loop]["componentRef"]["name"]]["dag"]["tasks"]["train-worker"]
    assert inner["inputs"]["parameters"]["workers"]["runtimeValue"]["constant"] == 3.0
    assert inner["retryPolicy"]["maxRetryCount"] == 2
    executors, pods = (part["deploymentSpec"]["executors"] for part in (root, platform["platforms"]["kubernetes"]))
    chief, worker = (executors[f"exec-{step}"]["container"] for step in ("train", "train-worker"))
    assert {name: worker[name] for name in ("image", "resources")} == {n: chief[n] for n in ("image", "resources")}
    for step in ("train", "train-worker"):
        assert pods[f"exec-{step}"]["pvcMount"][0]["mountPath"] == "/checkpoints"
        assert pods[f"exec-{step}"]["podMetadata"]["labels"] == {"app.kubernetes.io/name": "faceforge-workers"}


def test_workers_need_a_place_to_meet(tmp_path: Path) -> None:
    result = CliRunner().invoke(pipeline, ["compile", "--output", str(tmp_path / "p.yaml"), "--workers", "2"])
    assert result.exit_code == 2
    assert "--workers needs --checkpoint-claim NAME or a bucket" in result.output
