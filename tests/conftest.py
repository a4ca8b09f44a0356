"""Tiny untrained bundles that several parts of the tests share. Treat them as read-only."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

import faceforge.tracking  # noqa: F401  (sets its defaults in the environment, which stay)

_AT_START = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}


@pytest.fixture(autouse=True, scope="module")
def _mlflow_starts_afresh() -> Iterator[None]:
    """What one module (or a fixture of the session) tells MLflow must not reach another."""
    _restore(_AT_START)
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri("")
        mlflow.set_registry_uri("")
    yield
    _restore(_AT_START)


@pytest.fixture(autouse=True)
def _mlflow_forgets() -> Iterator[None]:
    """What a test tells MLflow through the environment must not reach the next one."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    _restore(before)


def _restore(wanted: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(wanted)


def _bundle(folder: Path, labels: dict[str, list[str]], channels: Literal[1, 3]) -> Path:
    from faceforge.models.build import build_networks
    from faceforge.models.bundle import Bundle, BundleInfo
    from faceforge.models.spec import ModelSpec

    spec = ModelSpec(
        family="compact",
        image_size=32,
        channels=channels,
        latent_size=8,
        width=4,
        max_width=8,
        classes=tuple(len(classes) for classes in labels.values()),
    )
    info = BundleInfo(
        spec=spec,
        labels=labels,
        loss="relativistic",
        dataset_digest="0123456789abcdef" * 4,
        config={},
        training={"images_seen": 0},
        versions={"faceforge": "0"},
    )
    return Bundle(info, *build_networks(spec, seed=1)).save(folder)


@pytest.fixture(scope="session")
def make_bundle() -> Callable[[Path, dict[str, list[str]], Literal[1, 3]], Path]:
    """Call with a folder, label columns and channels: an untrained bundle."""
    return _bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conditional on two columns, RGB."""
    labels = {"sex": ["female", "male"], "age": ["child", "adult", "old"]}
    return _bundle(tmp_path_factory.mktemp("conditional") / "bundle", labels, channels=3)


@pytest.fixture(scope="session")
def tiny_unconditional_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No labels, greyscale."""
    return _bundle(tmp_path_factory.mktemp("unconditional") / "bundle", {}, channels=1)
