from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.export.onnx import OPSET, onnx_images, write_onnx
from faceforge.inference.generator import Generator
from faceforge.inference.onnx import OnnxModel
from faceforge.models.build import build_networks
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.spec import ModelSpec


def bundle(family: str, labels: dict[str, list[str]], precision: str = "float32") -> Bundle:
    """Untrained, but with moments and weights that let every layer show."""
    classes = tuple(map(len, labels.values()))
    sizes = {"image_size": 16, "channels": 3, "latent_size": 8, "width": 4, "max_width": 16}
    spec = ModelSpec.model_validate({"family": family, "classes": classes, **sizes})
    info = BundleInfo(
        spec=spec, labels=labels, loss="bce", dataset_digest="d", config={}, training={}, versions={}
    )  # fmt: skip
    made = Bundle(info, *build_networks(spec, seed=1, precision=precision))
    draw = np.random.default_rng(0)
    for weight in made.generator.weights:
        if "moving_variance" in weight.path:
            weight.assign(draw.uniform(0.05, 0.2, weight.shape))
        elif "kernel" not in weight.path or not np.any(weight):
            weight.assign(weight + draw.normal(0, 0.3, weight.shape))
    return made


def inputs(made: Bundle, count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(1)
    latents = draw.normal(size=(count, 8)).astype(np.float32)
    labels = [draw.integers(0, classes, count) for classes in made.info.spec.classes]
    return [latents, np.stack(labels, axis=1).astype(np.int32)] if labels else [latents]


@pytest.mark.parametrize("family", ["compact", "style", "dcgan"])
@pytest.mark.parametrize("labels", [{}, {"age": ["child", "älter"], "sex": ["f", "m", "?"]}], ids=["plain", "labels"])
def test_any_batch_gives_the_images_of_keras(family: str, labels: dict[str, list[str]], tmp_path: Path) -> None:
    made = bundle(family, labels)
    write_onnx(made, tmp_path / "g.onnx")
    for count in (1, 6):
        given = inputs(made, count)
        expected = np.asarray(made.generator.predict_on_batch(given if labels else given[0]))
        assert expected.std() > 0.05
        np.testing.assert_allclose(
            onnx_images(tmp_path / "g.onnx", given), expected, atol=1e-5 * np.abs(expected).max()
        )


def test_reduced_precision_is_exported_in_full(tmp_path: Path) -> None:
    made = bundle("compact", {"age": ["child", "old"]}, "mixed_bfloat16")
    write_onnx(made, tmp_path / "g.onnx")
    given = inputs(made, 5)
    expected = np.asarray(made.generator.predict_on_batch(given))
    np.testing.assert_allclose(onnx_images(tmp_path / "g.onnx", given), expected, atol=0.02 * np.abs(expected).max())


def test_one_file_is_enough_to_sample(tmp_path: Path) -> None:
    made = bundle("compact", {"age": ["child", "älter"], "sex": ["f", "m", "?"]})
    write_onnx(made, tmp_path / "g.onnx")
    alone, whole = Generator(OnnxModel.load(tmp_path / "g.onnx")), Generator(made)
    for arguments in (
        {"num_images": 300, "seed": 5},
        {"num_images": 4, "attributes": {"age": "älter"}, "truncation": 0.5},
    ):
        ours, theirs = alone.generate(**arguments), whole.generate(**arguments)
        assert ours.labels == theirs.labels
        assert ours.images.dtype == np.uint8
        assert np.abs(ours.images.astype(int) - theirs.images).max() <= 1


def test_the_metadata_describes_the_file(tmp_path: Path) -> None:
    import onnx

    made = bundle("compact", {"age": ["child", "old"]})
    write_onnx(made, tmp_path / "g.onnx")
    model = onnx.load(tmp_path / "g.onnx")
    assert [opset.version for opset in model.opset_import] == [OPSET]
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"latents": ["batch", 8], "labels": ["batch", 1], "images": ["batch", 16, 16, 3]}
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}["faceforge"])
    assert facts["labels"] == {"age": ["child", "old"]}


def test_an_unknown_layer_is_named(tmp_path: Path) -> None:
    import keras

    made = bundle("compact", {})
    latents = keras.Input((8,))
    strange = keras.layers.LayerNormalization(name="strange")(latents)
    made.generator = keras.Model(latents, keras.layers.Reshape((2, 2, 2))(strange))
    with pytest.raises(FaceForgeError, match=r"layer strange \(LayerNormalization\) has no ONNX counterpart"):
        write_onnx(made, tmp_path / "g.onnx")
    assert not (tmp_path / "g.onnx").exists()
