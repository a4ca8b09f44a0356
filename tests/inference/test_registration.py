from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from faceforge.cli.registry import registry
from faceforge.errors import FaceForgeError
from faceforge.inference import registration
from faceforge.inference.generator import Generator
from faceforge.inference.registration import register_bundle
from faceforge.tracking.promotion import history, promote, rollback
from faceforge.tracking.runs import step_run
from faceforge.tracking.versions import champion_bundle, list_versions


def register(bundle: Path, key: str, decision: str, **more: object) -> str:
    with step_run("register", run_key=key, experiment="faces") as run:
        return register_bundle(bundle, name="faceforge", run=run, decision=decision, **more)  # type: ignore[arg-type]


def aliases() -> dict[str, str]:
    found = mlflow.MlflowClient().get_registered_model("faceforge").aliases
    return {alias: str(version) for alias, version in found.items()}  # SQLite answers with integers


def test_processes_that_register_one_run_at_once_make_one_version(
    tracking_uri: str, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, log = threading.Barrier(3), registration._log

    def log_together(*arguments: Any) -> str:
        together.wait(60)  # all have looked for an earlier version and found none
        return log(*arguments)

    monkeypatch.setattr(registration, "_logged", lambda *_: "")
    monkeypatch.setattr(registration, "_log", log_together)
    with ThreadPoolExecutor(3) as pool:
        numbers = list(pool.map(lambda _: register(tiny_bundle, "k1", "promote"), range(3)))
    (version,) = list_versions("faceforge")
    assert numbers == [version.version] * 3
    assert version.aliases == ("challenger", "champion")
    assert version.tags["faceforge.registered"] == "true"
    assert len([event for event in history("faceforge") if event.action == "promote"]) == 1


def test_versions_follow_the_decisions(tracking_uri: str, tiny_bundle: Path, tmp_path: Path) -> None:
    assert champion_bundle("faceforge", tmp_path / "none").version == ""
    (tmp_path / "report.json").write_text("{}")
    first = register(
        tiny_bundle, "k1", "promote", tags={"colour": 3}, extra_artifacts={"report": tmp_path / "report.json"}
    )
    assert (first, aliases()) == ("1", {"challenger": "1", "champion": "1"})
    assert register(tiny_bundle, "k2", "hold") == "2"
    assert aliases() == {"challenger": "2", "champion": "1"}
    assert register(tiny_bundle, "k3", "reject") == "3"
    assert aliases() == {"challenger": "2", "champion": "1"}
    assert register(tiny_bundle, "k4", "promote", auto_promote=False) == "4"
    assert aliases() == {"challenger": "4", "champion": "1"}
    newest, *_, oldest = list_versions("faceforge")
    assert (newest.version, newest.aliases, newest.decision) == ("4", ("challenger",), "promote")
    assert oldest.tags["faceforge.dataset_digest"] == "0123456789abcdef" * 4
    assert oldest.tags["faceforge.run_key"] == "k1"
    assert oldest.tags["colour"] == "3"
    assert oldest.tags["faceforge.revision"]

    champion = champion_bundle("faceforge", tmp_path / "champion")
    assert (champion.version, champion.error) == ("1", "")
    assert champion.bundle is not None
    assert {path.name for path in champion.bundle.iterdir()} == {path.name for path in tiny_bundle.iterdir()}
    report = mlflow.artifacts.download_artifacts("models:/faceforge/1/artifacts/report.json")
    assert Path(report).read_text() == "{}"


def test_a_retry_registers_nothing_new(tracking_uri: str, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("register_model", "MlflowClient.set_registered_model_alias"):  # before and after the version exists
        with monkeypatch.context() as broken:
            broken.setattr(f"mlflow.{name}", killed)
            with pytest.raises(KeyboardInterrupt):
                register(tiny_bundle, "k1", "promote")
    assert register(tiny_bundle, "k1", "promote") == "1"
    assert aliases() == {"challenger": "1", "champion": "1"}
    assert register(tiny_bundle, "k2", "promote") == "2"
    assert register(tiny_bundle, "k1", "promote") == "1"  # long after: must not bring back the old champion
    assert aliases() == {"challenger": "2", "champion": "2", "previous": "1"}
    experiment = mlflow.get_experiment_by_name("faces")
    assert len(mlflow.search_logged_models([experiment.experiment_id], output_format="list")) == 2
    client = mlflow.MlflowClient()
    version = client.get_model_version("faceforge", "1")
    parent = client.get_run(version.tags["faceforge.parent_run_id"])
    listed = [f"models:/{output.model_id}" for output in parent.outputs.model_outputs]
    assert listed == [version.source]  # by which MLflow shows the version on the page of the parent


def test_promote_and_rollback_can_be_undone_and_are_written_down(tracking_uri: str, tiny_bundle: Path) -> None:
    register(tiny_bundle, "k1", "promote")
    register(tiny_bundle, "k2", "reject")
    with pytest.raises(FaceForgeError, match="no previous champion"):
        rollback("faceforge")
    for attempt in ({}, {"force": True}, {"reason": "I like it"}):
        with pytest.raises(FaceForgeError, match="was rejected by its evaluation"):
            promote("faceforge", "2", **attempt)
    assert aliases()["champion"] == "1"
    event = promote("faceforge", "2", "I like it", force=True, by="ada")
    assert event is not None
    assert (event.before, event.version, event.by) == ("1", "2", "ada")
    assert promote("faceforge", "2") is None
    assert aliases() == {"challenger": "1", "champion": "2", "previous": "1"}
    rollback("faceforge", "it was a whim")
    assert aliases() == {"challenger": "1", "champion": "1"}  # as before the promotion
    with pytest.raises(FaceForgeError, match="no previous champion"):
        rollback("faceforge")
    told = [(item.action, item.before, item.version, item.reason) for item in history("faceforge")]
    assert told == [
        ("promote", "", "1", "the evaluation decided so"),
        ("promote", "1", "2", "I like it"),
        ("rollback", "2", "1", "it was a whim"),
    ]
    tags = mlflow.MlflowClient().get_model_version("faceforge", "1").tags
    assert tags["faceforge.promoted_reason"] == "it was a whim"


def test_a_champion_without_bundle_is_unreadable_not_absent(
    tracking_uri: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    register(tiny_bundle, "k1", "promote")
    register(tiny_bundle, "k2", "hold")
    for folder in (tmp_path / "mlartifacts").rglob("artifacts/bundle"):
        shutil.rmtree(folder)
    champion = champion_bundle("faceforge", tmp_path / "champion")
    assert (champion.version, champion.bundle) == ("1", None)
    assert champion.error
    assert "\n" not in champion.error
    with pytest.raises(FaceForgeError, match="version 2 cannot be promoted"):
        promote("faceforge", "2")
    with pytest.raises(FaceForgeError, match="has no version '7'; versions: 1, 2"):
        promote("faceforge", "7")
    with pytest.raises(FaceForgeError, match="no model 'other'; registered: faceforge"):
        list_versions("other")


def test_a_registry_out_of_reach_is_not_an_absent_champion(
    tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    mlflow.set_registry_uri("http://127.0.0.1:9")
    with pytest.raises(FaceForgeError, match="connection refused"):
        champion_bundle("faceforge", tmp_path)


FRESH = """
import sys, pandas as pd, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/faceforge@champion")
wanted = pd.DataFrame({"sex": ["male", "female"], "age": ["old", "child"]})
model.predict(wanted, params={"seed": 5}).to_parquet(sys.argv[2])
"""


def test_a_fresh_process_samples_from_pyfunc_and_generator(
    tracking_uri: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    register(tiny_bundle, "k1", "promote")
    subprocess.run([sys.executable, "-c", FRESH, tracking_uri, tmp_path / "drawn"], check=True, timeout=240)
    drawn = pd.read_parquet(tmp_path / "drawn")
    assert list(drawn.columns) == ["image", "sex", "age"]
    assert drawn["age"].tolist() == ["old", "child"]
    expected = Generator.load("models:/faceforge@champion").generate(
        labels={"sex": ["male", "female"], "age": ["old", "child"]}, seed=5
    )
    for png, image in zip(drawn["image"], expected.images, strict=True):
        assert Image.open(io.BytesIO(png)).tobytes() == image.tobytes()
    folder = Path(mlflow.artifacts.download_artifacts("models:/faceforge@champion"))
    assert not list(folder.rglob("*.pkl"))
    requirements = (folder / "requirements.txt").read_text()
    assert "keras==" in requirements
    assert "tensorflow" in requirements


def test_pyfunc_of_an_unconditional_model_draws_by_index(tracking_uri: str, tiny_unconditional_bundle: Path) -> None:
    register(tiny_unconditional_bundle, "k1", "promote")
    model = mlflow.pyfunc.load_model("models:/faceforge@champion")
    drawn = model.predict(pd.DataFrame({"index": [4, 5, 0]}))
    series = Generator.load(tiny_unconditional_bundle).generate(6).images
    shown = [Image.open(io.BytesIO(png)).tobytes() for png in drawn["image"]]
    assert shown == [series[4].tobytes(), series[5].tobytes(), series[0].tobytes()]


def test_command_line(tracking_uri: str, tiny_bundle: Path) -> None:
    register(tiny_bundle, "k1", "promote")
    register(tiny_bundle, "k2", "hold")
    where = ["--tracking-uri", tracking_uri, "--name", "faceforge"]

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(registry, [*arguments, *where])
        assert result.exit_code == 0, result.output
        return result.output

    assert "version 2 (was 1)" in call("promote", "challenger", "--reason", "sharper")
    assert "version 1 (was 2)" in call("rollback")
    lines = call("list").splitlines()
    columns = lines[0].split()
    assert (columns[:3], columns[-2:]) == (["version", "aliases", "decision"], ["created", "(UTC)"])
    assert lines[1].split()[:3] == ["2", "challenger", "hold"]
    assert lines[2].split()[:3] == ["1", "champion", "promote"]
    assert "1 -> 2" in call("history")
    assert "sharper" in call("history")
    failed = CliRunner().invoke(registry, ["promote", "9", *where])
    assert failed.exit_code == 2
    assert failed.stderr.splitlines() == ["error: faceforge has no version '9'; versions: 1, 2"]


def test_an_unknown_decision_is_refused(tracking_uri: str, tiny_bundle: Path) -> None:
    with pytest.raises(FaceForgeError, match="decision 'perhaps' does not exist"):
        register(tiny_bundle, "k1", "perhaps")
    assert champion_bundle("faceforge", Path("unused")).version == ""
