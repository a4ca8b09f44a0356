"""The real pipelines, tiny: training twice, then a synthetic set by the champion; compiled YAML, kfp, MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytest.importorskip("faceforge.steps.train")

STEPS = ("ingest", "augment", "train", "evaluate", "export", "register")
SETTINGS = (
    "ingest.limit=400, ingest.holdout=0.3, model.latent_size=16, model.width=8, model.max_width=16, train.kimg=2, "
    "train.batch_size=32, train.log_points=30, train.grids=5, train.checkpoints=3, evaluate.samples=100, "
    # So few steps make no faces: what is tested is the way of a model, not the model.
    "evaluate.classifier_epochs=2, evaluate.min_label_agreement=0, evaluate.min_class_agreement=0, "
    "evaluate.min_class_diversity=0, evaluate.max_frechet_ratio=1e9, evaluate.min_recall_ratio=0"
)


@dataclass
class Runs:
    """What two runs have left."""

    root: Path
    outputs: list[str]
    aliases: list[dict[str, str]]  # after each run: alias -> version

    @property
    def folders(self) -> list[Path]:
        """Run folders in the order of the runs."""
        return sorted(path.parent for path in (self.root / "runs").glob("*/run.json"))

    def report(self, index: int) -> dict[str, object]:
        """The evaluation report of a run."""
        return dict(json.loads((self.folders[index] / "report.json").read_text()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    root = tmp_path_factory.mktemp("pipeline")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KF_"))}
    outputs, aliases = [], []
    for _ in range(2):
        found = subprocess.run(
            [sys.executable, "-m", "pipelines.cli.pipeline", "run", "--set", SETTINGS],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
        )
        logs = "\n".join(log.read_text()[-6000:] for log in root.glob("runs/*/pipeline.log"))
        assert found.returncode == 0, f"{found.stdout}\n{found.stderr}\n{logs}"
        outputs.append(found.stdout)
        held = open_client(root).get_registered_model("toyfaces").aliases
        aliases.append({alias: str(version) for alias, version in held.items()})
    return Runs(root, outputs, aliases)


@pytest.fixture(scope="module")
def client(runs: Runs) -> MlflowClient:
    return open_client(runs.root)


def open_client(root: Path) -> MlflowClient:
    from mlflow import MlflowClient

    uri = f"sqlite:///{root / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def parents_and_steps(client: MlflowClient) -> tuple[list[Run], dict[str, dict[str, Run]]]:
    experiment = client.get_experiment_by_name("faceforge")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    steps: dict[str, dict[str, Run]] = {parent.info.run_id: {} for parent in parents}
    for run in found:
        if parent_id := run.data.tags.get("mlflow.parentRunId"):
            siblings = steps[parent_id]
            assert run.data.tags["faceforge.step"] not in siblings, "a step has two runs"
            siblings[run.data.tags["faceforge.step"]] = run
    return parents, steps


def test_each_run_is_one_parent_with_six_nested_runs(client: MlflowClient, runs: Runs) -> None:
    parents, steps = parents_and_steps(client)
    assert [parent.data.tags["faceforge.run_key"] for parent in parents] == [f.name for f in runs.folders]
    for parent in parents:
        assert set(steps[parent.info.run_id]) == set(STEPS)
        assert parent.info.status == "FINISHED"
        assert {run.info.status for run in steps[parent.info.run_id].values()} == {"FINISHED"}


def test_the_parent_has_the_headline(client: MlflowClient, runs: Runs) -> None:
    parents, _ = parents_and_steps(client)
    for index, parent in enumerate(parents):
        (dataset,) = parent.inputs.dataset_inputs
        assert dataset.dataset.name
        assert dataset.dataset.digest
        assert parent.data.params["train.kimg"] == "2.0"
        metrics = runs.report(index)["metrics"]
        assert isinstance(metrics, dict)
        assert parent.data.metrics["domain/frechet"] == pytest.approx(metrics["domain/frechet"])
        images = [file.path for file in client.list_artifacts(parent.info.run_id) if file.path.endswith(".png")]
        assert images, "no sample grid on the parent"


def test_kubeflow_is_told_what_the_artifacts_are(runs: Runs) -> None:
    told = {
        name: artifact["artifacts"][0]
        for output in runs.folders[0].glob("steps/*/*/executor_output.json")
        for name, artifact in json.loads(output.read_text()).get("artifacts", {}).items()
        if name not in ("page", "metrics")
    }
    data, augmented, bundle = (told[name]["metadata"] for name in ("data", "augmented", "bundle"))
    assert (data["train_images"], data["holdout_images"], data["image_size"]) == (280, 120, 32)
    assert data["label expression"] == "neutral, smiling, glasses"
    assert len(data["digest"]) == 64
    assert bundle["dataset_digest"] == augmented["digest"]
    assert (bundle["architecture"], bundle["images_seen"]) == ("style", 2048)
    assert "/#/experiments/" in bundle["mlflow_run"]


def test_kubeflow_shows_headline_metrics_and_pages(runs: Runs) -> None:
    folder = runs.folders[0]
    outputs = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("steps/*/*/executor_output.json")}
    metrics = {
        step: outputs[step]["artifacts"]["metrics"]["artifacts"][0]["metadata"] for step in ("train", "evaluate")
    }
    assert metrics["train"]["training/images_seen"] == 2048
    assert {"loss/generator", "loss/discriminator", "training/seconds"} <= set(metrics["train"])
    measured = runs.report(0)["metrics"]
    assert isinstance(measured, dict)
    assert metrics["evaluate"]["domain/frechet"] == measured["domain/frechet"]
    (training,) = folder.glob("steps/*/train/page")
    assert training.read_text().count("data:image/png;base64") == 3  # losses, distance, samples
    (version,) = folder.glob("steps/*/register/page")
    assert "/#/models/toyfaces/versions/1" in version.read_text()


def test_losses_and_grids_are_logged_over_training(client: MlflowClient) -> None:
    parents, steps = parents_and_steps(client)
    for parent in parents:
        run_id = steps[parent.info.run_id]["train"].info.run_id
        for name in ("loss/generator", "loss/discriminator"):
            points = [point.step for point in client.get_metric_history(run_id, name)]
            assert len(points) >= 20
            assert len(points) == len(set(points))
        grids = [file.path for file in client.list_artifacts(run_id, "images") if file.path.endswith(".png")]
        assert len(grids) >= 5


def test_the_first_sound_model_becomes_champion_and_the_second_is_compared_with_it(
    client: MlflowClient, runs: Runs
) -> None:
    versions = client.search_model_versions("name = 'toyfaces'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    first, second = (dict(runs.report(index)["decision"]) for index in (0, 1))  # type: ignore[call-overload]
    assert first["verdict"] == "promote"
    # Same data, same settings, same seed: the same model, which is no reason to change the champion.
    assert second["verdict"] == "hold"
    assert not runs.report(0)["champion_metrics"]
    metrics, champion = runs.report(1)["metrics"], runs.report(1)["champion_metrics"]
    assert isinstance(metrics, dict)
    assert isinstance(champion, dict)
    assert champion["domain/frechet"] == pytest.approx(metrics["domain/frechet"])
    assert "1" in str(runs.report(1)["champion_name"])
    assert runs.aliases[0] == {"champion": "1", "challenger": "1"}
    assert runs.aliases[1] == {"champion": "1", "challenger": "2"}
    assert "models:/toyfaces/1" in runs.outputs[0]
    assert "models:/toyfaces/2" in runs.outputs[1]


def test_the_images_are_compared_with_those_of_the_champion(client: MlflowClient) -> None:
    parents, steps = parents_and_steps(client)
    tags = [parent.data.tags["faceforge.domain_drift"] for parent in parents]
    assert tags == ["not compared: toyfaces has no champion", "none"]
    metrics = [steps[parent.info.run_id]["evaluate"].data.metrics for parent in parents]
    assert "drift/domain_frechet" not in metrics[0]
    assert metrics[1]["drift/domain_frechet"] == 0  # the same data


def test_the_run_folder_has_what_a_person_looks_for(runs: Runs) -> None:
    from PIL import Image

    for folder, output in zip(runs.folders, runs.outputs, strict=True):
        with Image.open(folder / "samples.png") as grid:
            assert grid.width >= 32
        assert "domain/" in (folder / "summary.txt").read_text()
        assert (folder / "report.html").read_text().startswith("<!doctype html>")
        (page,) = folder.glob("steps/*/evaluate/page*")  # the artefact that the Kubeflow UI shows
        assert page.read_bytes() == (folder / "report.html").read_bytes()
        assert f"runs/{folder.name}/samples.png" in output
        assert f"run {folder.name} succeeded" in output
        assert len(output.splitlines()) < 100
        assert json.loads((folder / "run.json").read_text())["status"] == "succeeded"


def test_nothing_is_left_outside_the_run_and_mlflow(runs: Runs) -> None:
    assert {path.name for path in runs.root.iterdir()} <= {"runs", "mlflow.db", "mlartifacts"}


def test_the_python_calls_of_the_documentation_in_a_fresh_process(runs: Runs) -> None:
    code = (
        "from faceforge import Generator; gen = Generator.load('models:/toyfaces@champion')\n"
        "one = gen.generate(label='smiling', num_images=20)\n"
        "two = gen.generate(attributes={'expression': 'glasses'}, num_images=20, seed=1, truncation=0.8)\n"
        "print(one.images.shape, one.images.dtype, set(two.labels['expression']))\n"
        "print(len(gen.interpolate([1, 2], 5)), gen.edit(one, label='neutral').labels['expression'][0])\n"
        "from faceforge.errors import FaceForgeError\n"
        "try: gen.discriminate(one.images)\n"
        "except FaceForgeError as error: print(str(error)[:31])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=runs.root, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.splitlines() == [
        "(20, 32, 32, 3) uint8 {'glasses'}",
        "5 neutral",
        "this model has no discriminator",
    ]


def test_the_champion_makes_a_synthetic_set(runs: Runs, tmp_path: Path) -> None:
    import pandas as pd

    uri = f"sqlite:///{runs.root / 'mlflow.db'}"
    data = next(runs.folders[0].glob("steps/*/ingest/data"))
    settings = "balance=true, target=150, reject=copies, min_label_agreement=0, formats=webdataset"
    found = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.pipeline", "synthesis", "run", "--data", str(data), "--set", settings,
         "--destination", "shelf", "--experiment", "synthesis", "--tracking-uri", uri],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )  # fmt: skip
    logs = "\n".join(log.read_text()[-6000:] for log in tmp_path.glob("runs/*/pipeline.log"))
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}\n{logs}"
    (folder,) = (tmp_path / "shelf").iterdir()
    assert str(folder) in found.stdout
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["model"]["name"] == "models:/toyfaces/1"
    there = json.loads((data / "dataset.json").read_text())["counts"]["train"]["classes"]["expression"]
    table = pd.concat(pd.read_parquet(path) for path in folder.glob("train-*.parquet"))
    made = table["expression"].value_counts().to_dict()
    assert {name: count + made.get(name, 0) for name, count in there.items()} == dict.fromkeys(there, 150)
    assert "| domain/frechet |" in (folder / "README.md").read_text()
    client = open_client(runs.root)
    experiment = client.get_experiment_by_name("synthesis")
    assert experiment is not None
    found_runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in found_runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["faceforge.published"] == str(folder)
    assert "synthetic/label_agreement" in parent.data.metrics  # the classifier is kept with the version
    assert {run.data.tags.get("faceforge.step") for run in found_runs} >= {"generate", "check", "publish"}
