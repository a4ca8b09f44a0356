"""What a version says about itself: lineage, details and comparison, in text and JSON; without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterator

import mlflow
import pytest
from click.testing import CliRunner, Result

from faceforge.cli.lineage import lineage as lineage_command
from faceforge.cli.registry import registry
from faceforge.errors import FaceForgeError
from faceforge.tracking.comparison import compare
from faceforge.tracking.lineage import lineage_of
from faceforge.tracking.promotion import promote
from faceforge.tracking.revision import code_revision, container_image
from faceforge.tracking.run_writer import DatasetRef
from faceforge.tracking.runs import finish_parent, step_run
from faceforge.tracking.tags import STARTED_TAG

NAME = "faces"
DIGEST = "ab" * 32


def make_version(key: str, frechet: float, holdout: str = "cd" * 32, width: int = 8) -> str:
    """As a pipeline run leaves it, as far as the registry shows it. Returns the parent run."""
    with step_run("ingest", run_key=key, experiment=NAME) as run:
        data = DatasetRef("photos.zip", DIGEST, "s3://faces/photos.zip")
        run.headline(dataset=data, params={"model.width": width, "train.kimg": 9})
    with step_run("evaluate", run_key=key, experiment=NAME) as run:
        tags = {"faceforge.decision": "promote", "faceforge.reasons": "sound", STARTED_TAG: "models:/faces/0"}
        run.headline(metrics={"domain/frechet": frechet}, tags=tags)
    finish_parent(key, "FINISHED", NAME)
    tags = {
        "faceforge.run_key": key,
        "faceforge.parent_run_id": run.parent_id,
        "faceforge.dataset_digest": "ef" * 32,
        "faceforge.holdout_digest": holdout,
        "faceforge.decision": "promote",
        "faceforge.revision": "0ff1ce",
    }
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name='{NAME}'"):
        client.create_registered_model(NAME)
    client.create_model_version(NAME, "file:///nowhere", tags=tags)
    return run.parent_id


@pytest.fixture
def in_image(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FACEFORGE_REVISION", "0ff1ce")
    monkeypatch.setenv("FACEFORGE_IMAGE", "registry.example/train@sha256:77")
    code_revision.cache_clear()
    yield
    code_revision.cache_clear()


@pytest.fixture
def versions(tracking_uri: str, in_image: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two versions; the first is the champion and was run by Kubeflow. Returns its parent run."""
    monkeypatch.setattr("faceforge.tracking.promotion._unreadable", lambda name, version: "")
    parent = make_version("k1", 12.5)
    mlflow.MlflowClient().set_tag(parent, "kfp.pipeline_run_url", "https://kubeflow.example/#/runs/details/5")
    make_version("k2", 10.0, width=16)
    promote(NAME, "1", "sharper", by="ada")
    return parent


def call(*arguments: str) -> Result:
    command = lineage_command if arguments[0].startswith("models:") else registry
    return CliRunner().invoke(command, [*arguments, "--tracking-uri", mlflow.get_tracking_uri()])


def test_the_chain_from_source_to_version(versions: str) -> None:
    found = lineage_of("models:/faces@champion")
    assert (found.model, found.aliases) == ("models:/faces/1", ("champion",))
    assert (found.source, found.data, found.trained_on) == ("s3://faces/photos.zip", DIGEST, "ef" * 32)
    assert (found.revision, found.image) == ("0ff1ce", "registry.example/train@sha256:77")
    assert (found.run_key, found.run_id, found.run_status) == ("k1", versions, "FINISHED")
    assert found.kubeflow == {"pipeline_run_url": "https://kubeflow.example/#/runs/details/5"}
    assert [step.name for step in found.steps] == ["ingest", "evaluate"]
    assert [(event.by, event.reason) for event in found.promotions] == [("ada", "sharper")]
    assert found.started_from == "models:/faces/0"
    assert (found.decision, found.missing) == ("promote: sound", [])
    assert lineage_of("models:/faces/2").promotions == []

    told = json.loads(call("models:/faces@champion", "--json").output)
    assert (told["data"], told["steps"][1]["name"]) == (DIGEST, "evaluate")
    text = call("models:/faces/1").output
    order = [
        "s3://faces",
        DIGEST,
        "0ff1ce",
        "registry.example",
        "kubeflow.example",
        versions,
        "models:/faces/1",
        "by ada",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_what_is_not_known_is_said(versions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with step_run("register", run_key="k1", experiment=NAME):  # without an image, by other code
        monkeypatch.delenv("FACEFORGE_IMAGE")
    mlflow.MlflowClient().set_tag(lineage_of("models:/faces/1").steps[2].run_id, "faceforge.revision", "bad")
    assert lineage_of("models:/faces/1").revision == "0ff1ce, bad"
    assert lineage_of("models:/faces/1").missing == ["revision: the steps ran with different code, see steps"]
    mlflow.delete_run(versions)
    assert "run: it is deleted, but can still be restored" in lineage_of("models:/faces/1").missing
    mlflow.MlflowClient().create_model_version(NAME, "file:///nowhere")
    found = lineage_of("models:/faces/3")
    assert found.missing[0] == "run: none is not in this MLflow, or was deleted for good"
    assert "data: not logged" in found.missing
    assert call("models:/faces/3").exit_code == 0


@pytest.mark.parametrize(
    "uri, told",
    [
        ("faces", "is not a model address; write models:/NAME@ALIAS"),
        ("models:/faces@previous", "faces has no version 'previous'; versions: 1, 2"),
        ("models:/dogs/1", "no model 'dogs'; registered: faces"),
    ],
)
def test_what_is_no_model_is_refused_in_a_line(versions: str, uri: str, told: str) -> None:
    with pytest.raises(FaceForgeError, match=told):
        lineage_of(uri)


def test_image_only_counts_inside_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEFORGE_IMAGE", "faceforge:latest")
    monkeypatch.delenv("FACEFORGE_REVISION", raising=False)
    assert container_image() == ""


def test_two_versions_side_by_side(versions: str) -> None:
    found = compare(NAME, "champion", "2")
    assert found.metrics == [("domain/frechet", 12.5, 10.0)]
    assert found.params == [("model.width", "8", "16")]
    assert found.notes == []
    make_version("k3", 1.0, holdout="ff" * 32)
    assert compare(NAME, "1", "3").notes == [
        "the versions were evaluated on different images: their metrics cannot be compared"
    ]
    lines = call("compare", "1", "3", "--name", NAME).output.splitlines()
    assert lines[0].startswith("not comparable: the versions were evaluated on different images")
    assert lines[1].split() == ["version", "1", "version", "3", "change"]
    assert lines[3].split() == ["domain/frechet", "12.5", "1", "-11.5"]
    answer = call("compare", "1", "2", "--name", NAME).output.splitlines()[0]
    assert answer == "version 2 is closer to the real images than version 1: frechet 10 < 12.5"
    assert json.loads(call("compare", "1", "2", "--name", NAME, "--json").output)["params"] == [
        ["model.width", "8", "16"]
    ]


def test_show_tells_all(versions: str) -> None:
    text = call("show", "champion", "--name", NAME).output
    for part in ("1 of faces", "promote: sound", "by ada: sharper", "0ff1ce", "k1", "domain/frechet  12.5"):
        assert part in text
    refused = call("show", "challenger", "--name", NAME)
    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == ["error: faces has no version 'challenger'; versions: 1, 2"]


def test_approval_from_the_command_line(versions: str) -> None:
    name = ("--name", NAME)
    assert "only approved versions" in call("require-approval", *name).output
    mlflow.MlflowClient().set_model_version_tag(NAME, "2", "faceforge.approval", "waiting")
    listed = call("list", *name).output.splitlines()
    assert listed[0].split()[:4] == ["version", "aliases", "decision", "domain/frechet"]
    assert "promote, waits for approval  10  " in listed[1]
    assert "waits for approval: faceforge registry approve 2" in call("promote", "2", *name).stderr
    assert "champion is now version 2 (was 1)" in call("approve", "2", "--reason", "200 samples", *name).output
    assert "200 samples" in call("history", *name).output
    assert "approval is not required" in call("require-approval", "--off", *name).output
    assert "waits" not in call("list", *name).output
