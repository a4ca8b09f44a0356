"""The comparison from image sets on disk, with tiny budgets."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from faceforge.cli.main import main
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.usefulness.measure import measure_usefulness
from faceforge.usefulness.page import PAGE
from faceforge.usefulness.plan import UsefulnessPlan, open_task
from faceforge.usefulness.result import UsefulnessResult
from tests.tracking.servers import mlflow_server

LABELS = {COLUMN: list(EXPRESSIONS), "coin": ["heads", "tails"]}
FEW = {"neutral": 0.5, "smiling": 0.4, "glasses": 0.1}


def faces(count: int, seed: int, shares: dict[str, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    images, codes = draw_toyfaces(count, 32, seed=seed, shares=shares)
    return images[:, ::2, ::2], np.hstack([codes, np.arange(count)[:, None] % 2]).astype(np.int32)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> UsefulnessPlan:
    folder = tmp_path_factory.mktemp("sets")
    write_image_set(folder / "data", {"train": faces(300, 1, FEW), "holdout": faces(150, 2)}, LABELS)
    images, codes = faces(150, 3)
    order = [EXPRESSIONS[2], EXPRESSIONS[0], EXPRESSIONS[1]]  # a vocabulary in another order
    recoded = np.array([order.index(EXPRESSIONS[code]) for code in codes[:, 0]], np.int32)[:, None]
    write_image_set(folder / "synthetic", {"train": (images, recoded)}, {COLUMN: order})
    return UsefulnessPlan(folder / "data", folder / "synthetic", folder / "out", steps=40, seeds=2)


@pytest.fixture(scope="module")
def result(plan: UsefulnessPlan) -> UsefulnessResult:
    return measure_usefulness(plan)


def test_the_rarest_class_is_recognised_on_the_holdout(plan: UsefulnessPlan, result: UsefulnessResult) -> None:
    assert (result.column, result.name) == (COLUMN, "glasses")
    assert result.counts["train_of_class"] == (faces(300, 1, FEW)[1][:, 0] == 2).sum()
    assert result.counts["holdout"] == 150
    assert [len(method.per_seed["auc"]) for method in result.methods] == [2] * 7
    assert max(method.metrics["auc"].value for method in result.methods) > 0.8  # glasses are easy, even in 40 steps
    written = json.loads((plan.out / "usefulness.json").read_text())
    assert UsefulnessResult.model_validate(written) == result
    assert result.verdict.split(":")[0] in (plan.out / PAGE).read_text()


def test_logit_adjustment_raises_recall(result: UsefulnessResult) -> None:
    """What a threshold gives for nothing: recall rises, the ranking does not have to."""
    assert result.method("logit_adjusted").recall > result.method("real").recall


def test_an_interrupted_comparison_continues_and_gives_the_same(
    plan: UsefulnessPlan, result: UsefulnessResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(plan.out, out)
    removed = sorted(out.glob("logits/*/pretraining-*.npy"))
    kept = next(out.glob("logits/*/real-0.npy"))
    before = kept.stat().st_mtime_ns
    for path in [*removed, out / "usefulness.json"]:
        path.unlink()
    again = measure_usefulness(replace(plan, out=out))
    assert len(removed) == 2
    assert kept.stat().st_mtime_ns == before
    assert again == result  # trained in another order, by another network object


def test_other_settings_discard_finished_trainings(
    plan: UsefulnessPlan, result: UsefulnessResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(plan.out, out)
    old = next(out.glob("logits/*"))
    measure_usefulness(replace(plan, out=out, steps=10, name="smiling"))
    assert not old.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "at least 2"),
        ({"steps": 2}, "at least 10"),
        ({"column": "age"}, "no label column 'age'"),
        ({"name": "angry"}, "no class 'angry'"),
        ({"column": "coin"}, "synthetic has no label column 'coin'"),
        ({"synthetic": Path("missing")}, "missing does not exist"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_work(
    plan: UsefulnessPlan, change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FaceForgeError, match=message):
        measure_usefulness(replace(plan, out=tmp_path / "out", **change))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_sets_that_do_not_fit_are_refused(plan: UsefulnessPlan, tmp_path: Path) -> None:
    large, codes = draw_toyfaces(60, 32, seed=1)
    sizes = write_image_set(tmp_path / "large", {"train": (large, codes)}, {COLUMN: list(EXPRESSIONS)})
    with pytest.raises(FaceForgeError, match="32 px and 3 channels"):
        open_task(replace(plan, synthetic=sizes.root))
    images, codes = faces(60, 1)
    names = {COLUMN: ["neutral", "smiling", "angry"], "coin": LABELS["coin"]}
    other = write_image_set(tmp_path / "other", {"train": (images, codes)}, names)
    with pytest.raises(FaceForgeError, match="class 'angry'"):
        open_task(replace(plan, synthetic=other.root, name="smiling"))
    small = write_image_set(tmp_path / "small", {"train": faces(60, 1), "holdout": faces(30, 2)}, LABELS)
    with pytest.raises(FaceForgeError, match="larger ingest.holdout"):
        open_task(replace(plan, data=small.root, name="smiling"))


def test_missing_samples_of_a_class_are_noted(plan: UsefulnessPlan, tmp_path: Path) -> None:
    images, codes = faces(120, 4)
    only = codes[:, 0] == 2
    synthetic = write_image_set(tmp_path / "only", {"train": (images[only], codes[only])}, LABELS)
    (note,) = open_task(replace(plan, synthetic=synthetic.root)).notes
    assert "no samples of neutral, smiling" in note


def test_the_command_prints_the_table_and_the_verdict(plan: UsefulnessPlan, result: UsefulnessResult) -> None:
    arguments = ["usefulness", "--data", plan.data, "--synthetic", plan.synthetic, "--out", plan.out]
    arguments += ["--steps", plan.steps, "--seeds", plan.seeds]
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])  # trained already
    assert ran.exit_code == 0, ran.output
    assert result.verdict in ran.output
    refused = CliRunner().invoke(main, [str(argument) for argument in (*arguments, "--class", "angry")])
    assert refused.exit_code == 2
    assert "no class 'angry'" in refused.output


def test_the_command_logs_to_a_server(plan: UsefulnessPlan, result: UsefulnessResult, tracking_uri: str) -> None:
    from mlflow import MlflowClient

    arguments = ["usefulness", "--data", plan.data, "--synthetic", plan.synthetic, "--out", plan.out]
    arguments += ["--steps", plan.steps, "--seeds", plan.seeds, "--run", "rare", "--experiment", "useful"]
    store = ["--backend-store-uri", tracking_uri, "--artifacts-destination", str(plan.out.parent / "artifacts")]
    with mlflow_server(*store, env={}) as url:
        ran = CliRunner().invoke(main, [str(argument) for argument in (*arguments, "--tracking-uri", url)])
        assert ran.exit_code == 0, ran.output
        client = MlflowClient(url)
        experiment = client.get_experiment_by_name("useful")
        assert experiment is not None
        parent = next(
            run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags
        )
        page = Path(client.download_artifacts(parent.info.run_id, PAGE))
        assert page.read_text() == (plan.out / PAGE).read_text()
        assert "usefulness.json" in {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert (parent.info.run_name, parent.info.status) == ("rare", "FINISHED")
    assert parent.data.tags["faceforge.usefulness"] == result.verdict
    assert parent.data.metrics["usefulness/jitter/auc"] == pytest.approx(result.method("jitter").metrics["auc"].value)
    assert parent.data.params["class"] == "glasses"
    assert (
        json.loads((plan.data / "dataset.json").read_text())["digest"][:8]
        in parent.inputs.dataset_inputs[0].dataset.digest
    )
