"""A whole search as a process, with real training and MLflow: it is killed in a trial and continues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.tuning.budget import SearchBudget
from faceforge.tuning.plan import StudyPlan
from faceforge.tuning.study import check_plan

TINY = (
    "model.width=4, model.max_width=8, model.latent_size=8, train.batch_size=16, train.kimg=0.64, train.grids=5, "
    "train.log_points=20, train.checkpoints=40, evaluate.samples=100, evaluate.classifier_epochs=1"
)
SPACE = '"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n"train.penalty_interval" = [1, 4, 8]\n'


def start(images: ImageSet, out: Path, tracking_uri: str, log: Path) -> subprocess.Popen[bytes]:
    space = out.with_name("space.toml")
    space.write_text(SPACE)
    options = ["--data", images.root, "--out", out, "--budget", "4.5kimg", "--seeds", "2", "--space", space]
    command = [sys.executable, "-m", "faceforge.cli.main", "tune", *map(str, options), "--set", TINY]
    with log.open("wb") as stream:
        return subprocess.Popen([*command, "--tracking-uri", tracking_uri], stdout=stream, stderr=subprocess.STDOUT)


@pytest.fixture
def killed(images: ImageSet, out: Path, tracking_uri: str, tmp_path: Path) -> str:
    """Kills a search in its second trial; returns the name of that trial."""
    process = start(images, out, tracking_uri, tmp_path / "first.log")
    trials, deadline = out / "trials", time.monotonic() + 500
    try:
        while time.monotonic() < deadline and process.poll() is None:
            running = [path for path in trials.glob("*/checkpoints/*.npz") if "baseline" not in path.parts[-3]]
            if running:
                os.kill(process.pid, signal.SIGKILL)
                return running[0].parts[-3]
            time.sleep(0.02)
        raise AssertionError((tmp_path / "first.log").read_text()[-2000:])
    finally:
        process.kill()
        process.wait()


def test_a_killed_search_continues_and_ends_with_settings_and_a_page(
    images: ImageSet, out: Path, killed: str, tracking_uri: str, tmp_path: Path
) -> None:
    baseline = (out / "trials" / "baseline-seed0" / "result.json").read_bytes()
    process = start(images, out, tracking_uri, tmp_path / "second.log")
    assert process.wait(timeout=800) == 0, (tmp_path / "second.log").read_text()[-2000:]
    output = (tmp_path / "second.log").read_text()
    assert f"page: {out}/study.html" in output
    assert "on the holdout (2 seeds)" in output

    # What was finished is not repeated; the killed trial was continued.
    assert (out / "trials" / "baseline-seed0" / "result.json").read_bytes() == baseline
    assert (out / "trials" / killed / "result.json").is_file()
    outcome = json.loads((out / "study.json").read_text())
    assert killed in {trial["name"] for trial in outcome["trials"]}
    assert outcome["trials"][0]["settings"] == {}
    assert {len(finalist["trials"]) for finalist in outcome["finalists"]} == {2}
    assert all("domain/frechet" in metrics for finalist in outcome["finalists"] for metrics in finalist["holdout"])
    spent = sum(json.loads(file.read_text())["kimg"] for file in out.glob("trials/*/result.json"))
    assert spent <= 4.5
    assert outcome["best"].startswith("model.width=4")
    page = (out / "study.html").read_text()
    assert page.count("data:image/png;base64,") >= 2  # grids of the finalists
    assert "<script" not in page

    # One MLflow run per trial below one parent, with curves and grids.
    client = mlflow.MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("faceforge").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    nested = {run.info.run_name: run for run in runs if run is not parent}
    folders = {path.name for path in (out / "trials").iterdir()}
    assert set(nested) == folders | {"tune"}
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["preset/domain/frechet"] > 0
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {"study.html", "study.json"}
    trial = nested[killed]
    assert trial.info.status == "FINISHED"
    assert trial.data.tags["faceforge.trial_state"] in ("complete", "pruned")
    points = client.get_metric_history(trial.info.run_id, "holdout/sliced_wasserstein")
    assert len({point.step for point in points}) == len(points) > 0
    assert client.list_artifacts(trial.info.run_id, "images")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"budget": SearchBudget(50, "kimg"), "settings": "train.kimg=30"},
            r"too small for trials of 30 kimg: give at least 100kimg",
        ),
        ({"seeds": 0}, "--seeds 0"),
        ({"settings": "train.labels=hair"}, "hair"),
        ({"space": "nonsense"}, "not valid TOML"),
        ({"data": Path("nowhere")}, "nowhere does not exist"),
    ],
)
def test_mistakes_are_reported_before_work_starts(images: ImageSet, changes: dict[str, object], message: str) -> None:
    data = changes.pop("data", images.root)
    plan = {
        "preset": "toy",
        "settings": "",
        "budget": SearchBudget(600, "seconds"),
    }
    with pytest.raises(FaceForgeError, match=message):
        check_plan(StudyPlan(**{**plan, **changes}), data)  # type: ignore[arg-type]
