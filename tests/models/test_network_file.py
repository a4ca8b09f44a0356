from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from faceforge.models.build import FAMILIES, build_networks
from faceforge.models.network_file import read_network
from faceforge.models.spec import ModelSpec

SIZES: dict[str, Any] = {"image_size": 32, "channels": 3, "latent_size": 8, "width": 4, "max_width": 8}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator without labels."""
    path = tmp_path_factory.mktemp("network") / "generator.keras"
    build_networks(ModelSpec(family="compact", classes=(), **SIZES))[0].save(path)
    return path


def changed(saved: Path, folder: Path, change: Callable[[dict[str, bytes]], None], **options: Any) -> Path:
    """A copy of a network whose parts were changed."""
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(folder / "changed.keras", "w", **options) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return folder / "changed.keras"


def with_layer(kind: str, **settings: Any) -> Callable[[dict[str, bytes]], None]:
    """Replaces a network by a single layer on its latents."""

    def change(parts: dict[str, bytes]) -> None:
        description = json.loads(parts["config.json"])
        latents, *_ = description["config"]["layers"]
        shape = latents["config"]["batch_shape"]
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {"shape": shape, "dtype": "float32", "keras_history": ["latents", 0, 0]},
        }
        layer = {
            "module": "keras.layers", "class_name": kind, "registered_name": None, "name": "huge",
            "config": {"name": "huge", "trainable": True, **settings},
            "build_config": {"input_shape": shape}, "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
        }  # fmt: skip
        description["config"] |= {
            "layers": [latents, layer], "input_layers": [["latents", 0, 0]], "output_layers": [["huge", 0, 0]],
        }  # fmt: skip
        parts["config.json"] = json.dumps(description).encode()

    return change


@pytest.mark.parametrize(("family", "classes"), list(itertools.product(FAMILIES, ((), (2,), (3, 2)))))
def test_every_network_is_read_back(family: Any, classes: tuple[int, ...], tmp_path: Path) -> None:
    for network in build_networks(ModelSpec(family=family, classes=classes, **SIZES)):
        network.save(tmp_path / "network.keras")
        weights = read_network(tmp_path / "network.keras").get_weights()
        assert all(itertools.starmap(np.array_equal, zip(weights, network.get_weights(), strict=True)))


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("Dense", {"units": 10**7}, "describes a network of 90,000,000 weights"),
        ("Embedding", {"input_dim": 10**6, "output_dim": 10**6}, "describes a network of 1,000,000,000,000 weights"),
        ("RepeatVector", {"n": 10**9}, "uses 'RepeatVector', which is not among the layers that are read"),
        ("Lambda", {"function": "os.system"}, "uses 'Lambda', which is not among the layers that are read"),
        ("StringLookup", {"vocabulary": "/etc/passwd"}, "uses 'StringLookup'"),
    ],
)
def test_a_description_of_something_else_is_refused_before_it_is_built(
    saved: Path, kind: str, settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=told):
        read_network(changed(saved, tmp_path, with_layer(kind, **settings)))


def test_a_layer_that_returns_too_much_is_refused(saved: Path, tmp_path: Path) -> None:
    def enlarge(parts: dict[str, bytes]) -> None:
        description = json.loads(parts["config.json"])
        for layer in description["config"]["layers"]:
            if layer["class_name"] == "UpSampling2D":
                layer["config"]["size"] = [4096, 4096]
        parts["config.json"] = json.dumps(description).encode()

    with pytest.raises(ValueError, match="layer 'repeat8' returns more than 67,108,864 values per image"):
        read_network(changed(saved, tmp_path, enlarge))


def test_compressed_parts_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parts are compressed"):
        read_network(changed(saved, tmp_path, lambda parts: None, compression=zipfile.ZIP_DEFLATED))


def test_nested_descriptions_are_an_error_and_no_crash(saved: Path, tmp_path: Path) -> None:
    def nest(parts: dict[str, bytes]) -> None:
        parts["config.json"] = b"[" * 10**6

    with pytest.raises((ValueError, RecursionError)):
        read_network(changed(saved, tmp_path, nest))


@pytest.mark.parametrize("kind", ["soft", "external link", "external data", "compressed"])
def test_weights_that_are_elsewhere_or_larger_than_the_file_are_refused(saved: Path, kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as other:
        other["values"] = np.zeros(8)

    def spoil(parts: dict[str, bytes]) -> None:
        path = tmp_path / "weights.h5"
        path.write_bytes(parts["model.weights.h5"])
        with h5py.File(path, "a") as file:
            if kind == "soft":
                file["layers/more"] = h5py.SoftLink("/layers")
            elif kind == "external link":
                file["layers/more"] = h5py.ExternalLink(str(secret), "/values")
            elif kind == "external data":
                file.create_dataset("layers/more", (8,), "u1", external=[(str(secret), 0, 8)])
            else:
                file.create_dataset("layers/more", (10**9,), "u1", chunks=(10**8,), compression="gzip")
        parts["model.weights.h5"] = path.read_bytes()

    told = "larger than the file" if kind == "compressed" else "refer to other files or places"
    with pytest.raises(ValueError, match=told):
        read_network(changed(saved, tmp_path, spoil))
