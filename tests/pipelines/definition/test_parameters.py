from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from faceforge.config import resolve
from faceforge.errors import FaceForgeError
from pipelines.cli.pipeline import pipeline
from pipelines.definition.parameters import (
    check_locally,
    check_synthesis_locally,
    check_training_locally,
    run_identity,
    run_parameters,
    synthesis_parameters,
    tuning_parameters,
)


def test_unknown_names_and_bad_values_are_refused_in_one_line() -> None:
    with pytest.raises(FaceForgeError, match="pipeline parameter 'sourse' does not exist; parameters: source, labels"):
        run_parameters(sourse="x")
    with pytest.raises(FaceForgeError, match="source = ' ': must not be empty"):
        run_parameters(source=" ")
    with pytest.raises(FaceForgeError, match=r"train\.kimg"):
        run_parameters(settings="train.kimg=-1")


def test_what_is_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def same(**values: str) -> dict[str, str]:
        return run_identity(*check_locally(run_parameters(**{"tracking_uri": uri, **values})))

    preset = resolve("toy").train.kimg
    assert same() == same(settings=f"train.kimg={preset}", tracking_uri="sqlite:///mlflow.db")
    assert same() != same(settings=f"train.kimg={preset + 1}")
    assert same() != same(model_name="other")
    assert same(settings="train.init_from=champion") == same(settings="train.init_from=champion, train.seed=0")


def test_a_folder_to_start_from_is_known_to_every_step(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    wanted = run_parameters(settings="train.init_from=bundle", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    checked, config = check_training_locally(wanted)
    assert config.train.init_from == str(tiny_bundle)
    assert resolve("toy", checked.settings) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "nowhere"], "nowhere"),
        (["--source", "empty"], "empty"),
        (["--labels", "age"], "age"),
        (["--preset", "huge"], "presets: toy"),
        (["--set", "ingest.image_size=48"], "ingest.image_size"),
        (["--tracking-uri", "http://127.0.0.1:9"], "http://127.0.0.1:9"),
        (["--set", "evaluate.face_model=no.onnx"], "evaluate.face_model no.onnx does not exist"),
        (["--set", "train.init_from=empty"], "empty is not a model bundle"),
        (["--set", "train.init_from=models:/faceforge/3"], "the registry has no model 'faceforge'"),
    ],
)
def test_a_run_that_cannot_succeed_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(pipeline, ["run", *arguments])
    assert result.exit_code == 2, result.output
    (line,) = result.output.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "runs").exists()


def test_a_synthesis_run_is_checked_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FaceForgeError, match="pipeline parameter 'modle' does not exist; parameters: model, data"):
        synthesis_parameters(modle="x")
    with pytest.raises(FaceForgeError, match="setting 'perclass' does not exist; did you mean 'per_class'"):
        synthesis_parameters(settings="perclass=3")
    with pytest.raises(FaceForgeError, match="exactly one of count, per_class and balance"):
        synthesis_parameters(settings="seed=1")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    cases = {
        "models:/toyfaces@champion": {},
        "is not a model bundle": {"model": "work/nowhere"},
        "no folder 'nowhere', nor a registered model": {"model": "nowhere"},
        "does not exist": {"data": "nowhere"},
        "give their image set as data": {"settings": "balance=true"},
    }
    for said, values in cases.items():
        with pytest.raises(FaceForgeError, match=said):
            check_synthesis_locally(synthesis_parameters(**{"tracking_uri": uri, **values}))


def test_the_model_is_named_after_the_source_unless_it_is_given() -> None:
    assert run_parameters().model_name == "toyfaces"
    assert run_parameters(source="~/my photos/", model_name="").model_name == "my-photos"
    assert run_parameters(source="photos", model_name="faces").model_name == "faces"


def test_a_search_is_checked_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = {
        "budget 'long' is not valid": {"budget": "long"},
        "too small for trials": {"budget": "1kimg"},
        "seeds = '0' is not valid": {"seeds": "0"},
        "none.toml is unreadable": {"space": "none.toml"},
        "did you mean 'train.learning_rate'": {"space": '"train.learning_rat" = [0.1]'},
        "source = ' ': must not be empty": {"source": " "},
    }
    for said, values in cases.items():
        with pytest.raises(FaceForgeError, match=said):
            tuning_parameters(**values)
    (tmp_path / "photos").mkdir()
    with pytest.raises(FaceForgeError, match="photos"):
        check_locally(tuning_parameters(source="photos", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))


def test_a_search_space_travels_as_text(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text('"train.learning_rate" = [0.001, 0.002]')
    assert (
        tuning_parameters(space=str(file)).space == file.read_text() == tuning_parameters(space=file.read_text()).space
    )
