from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faceforge.errors import FaceForgeError
from faceforge.inference.registration import register_bundle
from faceforge.models.bundle import BundleInfo
from faceforge.models.spec import ModelSpec
from faceforge.tracking.runs import step_run
from faceforge.tracking.start import starting_point
from faceforge.tracking.tags import STARTED_TAG


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The facts of a bundle and stand-ins for its networks."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    spec = ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=())
    info = BundleInfo(
        spec=spec, labels={}, loss="bce", dataset_digest="ab" * 32, config={}, training={}, versions={}
    )  # fmt: skip
    (folder / "bundle.json").write_text(info.model_dump_json())
    for network in ("generator", "discriminator"):
        (folder / f"{network}.keras").write_bytes(network.encode())
    return folder


def register(bundle: Path, key: str, decision: str = "promote", name: str = "faceforge") -> str:
    with step_run("register", run_key=key, experiment="faces") as run:
        return register_bundle(bundle, name=name, run=run, decision=decision)  # type: ignore[arg-type]


def test_nothing_and_folders_need_no_registry(bundle: Path, tmp_path: Path) -> None:
    assert starting_point("", "faceforge", None, tmp_path).bundle is None
    assert starting_point(str(bundle), "faceforge", None, tmp_path).bundle == bundle
    for wrong in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FaceForgeError, match="is not a model bundle"):
            starting_point(str(wrong), "faceforge", None, tmp_path)


def test_the_first_run_of_a_series_starts_fresh_and_the_next_from_the_champion(
    tracking_uri: str, bundle: Path, tmp_path: Path
) -> None:
    with step_run("train", run_key="k1", experiment="faces") as run:
        first = starting_point("champion", "faceforge", run, tmp_path / "1")
        assert (first.name, first.bundle) == ("fresh weights: faceforge has no champion yet", None)
    register(bundle, "k1", "reject")
    assert starting_point("models:/faceforge@champion", "any", None, tmp_path / "2").bundle is None  # a model, but none
    register(bundle, "k2")
    for number, wanted in enumerate(("champion", "models:/faceforge@champion", "models:/faceforge/2")):
        found = starting_point(wanted, "faceforge", None, tmp_path / f"a{number}")
        assert found.name == "models:/faceforge/2"
        assert found.bundle is not None
        assert (found.bundle / "generator.keras").read_bytes() == b"generator"
    assert starting_point("champion", "another", None, tmp_path / "b").bundle is None


def test_a_retry_starts_from_what_the_first_attempt_started_from(
    tracking_uri: str, bundle: Path, tmp_path: Path
) -> None:
    register(bundle, "k1")
    names = {}
    for attempt in (1, 2):
        for key, wanted in (("r1", "champion"), ("r2", "models:/other@champion")):
            with step_run("train", run_key=key, experiment="faces") as run:
                found = starting_point(wanted, "faceforge", run, tmp_path / f"{key}{attempt}")
                run.set_tags({STARTED_TAG: found.name})
                names[key, attempt] = (found.name, found.bundle is None)
        register(bundle, "k2")
        register(bundle, "k3", name="other")
    assert names["r1", 1] == names["r1", 2] == ("models:/faceforge/1", False)
    assert names["r2", 1] == names["r2", 2] == ("fresh weights: other has no champion yet", True)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("models:/faceforge@chalenger", "has no version 'chalenger'; versions: 1"),
        ("models:/faceforge/7", "has no version '7'"),
        ("models:/faces/1", "has no model 'faces'; registered: faceforge"),
        ("models:/faceforge", "write champion, models:/NAME@ALIAS"),
    ],
)
def test_what_is_not_there_is_an_error(tracking_uri: str, bundle: Path, tmp_path: Path, wanted: str, said: str) -> None:
    register(bundle, "k1")
    with pytest.raises(FaceForgeError, match=said):
        starting_point(wanted, "faceforge", None, tmp_path / "x")


def test_a_champion_that_cannot_be_read_is_an_error(tracking_uri: str, bundle: Path, tmp_path: Path) -> None:
    register(bundle, "k1")
    shutil.rmtree(tmp_path / "mlartifacts")
    with pytest.raises(FaceForgeError, match="the champion of faceforge cannot be read"):
        starting_point("champion", "faceforge", None, tmp_path / "x")
