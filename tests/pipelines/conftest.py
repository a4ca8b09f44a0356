from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pipelines.local.run
from faceforge.config import Config, resolve
from pipelines.definition.parameters import RunParameters
from tests.pipelines.kfp_server import SimulatedServer, simulated_server

STAND_IN = Path(__file__).parent / "standin"


@pytest.fixture
def simulated_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SIMULATED steps in every process started from here, and no MLflow; returns the folder that controls them."""
    control = tmp_path / "control"
    control.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("FACEFORGE_STANDIN", str(control))
    monkeypatch.setattr(pipelines.local.run, "check_locally", unchecked)
    monkeypatch.setattr(pipelines.local.run, "_finish_parent", lambda *_: None)
    return control


def unchecked(parameters: RunParameters) -> tuple[RunParameters, Config]:
    """In place of `check_locally`: no source is opened, no MLflow is asked."""
    return parameters, resolve(parameters.preset, parameters.settings)


@pytest.fixture
def lines() -> tuple[list[str], Callable[[str], None]]:
    """A list, and a function that adds to it."""
    found: list[str] = []
    return found, found.append


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KF_PIPELINES_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimulatedServer]:
    """SIMULATED Kubeflow Pipelines server, where the environment says that it is."""
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp keeps a context file there
    monkeypatch.setattr("pipelines.cluster.api.RETRY_SECONDS", 0.01)
    with simulated_server() as running:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.url)
        yield running
