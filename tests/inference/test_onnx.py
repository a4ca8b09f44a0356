from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.inference.onnx import OnnxModel

onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")


def write(path: Path, **facts: object) -> Path:
    """A generator that repeats a latent over 4 x 4 grey pixels."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["latents", "one"], ["pixel"]),
            helper.make_node("Tile", ["pixel", "often"], ["images"]),
        ],
        "generator",
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 4, 4, 1])],
        [
            numpy_helper.from_array(np.array([-1, 1, 1, 1]), "one"),
            numpy_helper.from_array(np.array([1, 4, 4, 1]), "often"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if facts:
        helper.set_model_props(model, {"faceforge": json.dumps(facts)})
    onnx.save_model(model, path)
    return path


FACTS = {
    "format_version": 1, "latent_size": 1, "image_size": 4, "channels": 1, "labels": {}, "dataset_digest": "d"
}  # fmt: skip


def test_batches_do_not_matter(tmp_path: Path) -> None:
    model = OnnxModel.load(write(tmp_path / "g.onnx", **FACTS))
    latents, labels = np.linspace(-2, 2, 7)[:, None], np.zeros((7, 0), np.int32)
    images = model.generate(latents, labels, batch=3)
    assert (images.shape, images.dtype) == ((7, 4, 4, 1), np.uint8)
    assert images[:, 0, 0, 0].tolist() == [0, 0, 42, 128, 213, 255, 255]
    assert model.generate(latents[:0], labels[:0]).shape == (0, 4, 4, 1)
    with pytest.raises(FaceForgeError, match="generator only"):
        model.logits(images, labels)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    for path, told in (
        (tmp_path / "none.onnx", "does not exist"),
        (tmp_path / "text.onnx", "not a readable ONNX file"),
        (write(tmp_path / "foreign.onnx"), "not exported by FaceForge"),
        (write(tmp_path / "new.onnx", **{**FACTS, "format_version": 2}), "has format 2"),
        (write(tmp_path / "damaged.onnx", format_version=1), "damaged metadata"),
    ):
        with pytest.raises(FaceForgeError, match=told):
            OnnxModel.load(path)


def test_sampling_needs_no_heavy_package(tmp_path: Path) -> None:
    path = write(tmp_path / "g.onnx", **FACTS)
    code = (
        "import sys; from faceforge import Generator; "
        f"assert Generator.load({str(path)!r}).generate(3, seed=1).images.shape == (3, 4, 4, 1); "
        "print(*({'tensorflow', 'keras', 'mlflow', 'pydantic', 'pandas', 'pyarrow', 'click'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 10**7}, {"image_size": "4"}, {"image_size": True}, {"latent_size": 0}, {"channels": 2},
        {"labels": []}, {"labels": {"sex": "man"}}, {"labels": {"sex": []}}, {"labels": {"sex": [1]}},
        {"dataset_digest": None},
    ],
)  # fmt: skip
def test_implausible_metadata_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(FaceForgeError, match="damaged metadata"):
        OnnxModel.load(write(tmp_path / "g.onnx", **{**FACTS, **changes}))


def test_networks_that_do_not_keep_their_promise_give_one_line(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="needs the inputs labels and latents"):
        OnnxModel.load(write(tmp_path / "g.onnx", **{**FACTS, "labels": {"sex": ["man", "woman"]}}))
    latents, labels = np.zeros((2, 1)), np.zeros((2, 0), np.int32)
    with pytest.raises(FaceForgeError, match="does not return images of 5 x 5 pixels"):
        OnnxModel.load(write(tmp_path / "g.onnx", **{**FACTS, "image_size": 5})).generate(latents, labels)
    with pytest.raises(FaceForgeError, match="cannot be run") as caught:
        OnnxModel.load(write(tmp_path / "g.onnx", **{**FACTS, "latent_size": 2})).generate(np.zeros((2, 2)), labels)
    assert "\n" not in str(caught.value)


def test_a_loop_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceforge.inference.onnx.BATCH_SECONDS", 0.5)
    from onnx import TensorProto, helper, numpy_helper

    flag, value = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("go", TensorProto.BOOL), ("turn", TensorProto.INT64))
    )
    state = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("before", "after")]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Sin", ["before"], ["after"])],
        "body",
        [value, flag, state[0]],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []), state[1]],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Loop", ["turns", "yes", "latents"], ["long"], body=body),
            helper.make_node("Reshape", ["long", "one"], ["pixel"]),
            helper.make_node("Tile", ["pixel", "often"], ["images"]),
        ],
        "generator",
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 4, 4, 1])],
        [
            numpy_helper.from_array(np.array(2**62), "turns"),
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.array([-1, 1, 1, 1]), "one"),
            numpy_helper.from_array(np.array([1, 4, 4, 1]), "often"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"faceforge": json.dumps(FACTS)})
    onnx.save_model(model, tmp_path / "g.onnx")
    with pytest.raises(FaceForgeError, match="takes longer than 0.5 s for 2 images"):
        OnnxModel.load(tmp_path / "g.onnx").generate(np.zeros((2, 1)), np.zeros((2, 0), np.int32))


def test_a_network_that_asks_for_too_much_memory_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "g.onnx", **FACTS)
    model = onnx.load(path)
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["size"], ["huge"]))
    model.graph.node.insert(1, onnx.helper.make_node("ReduceSum", ["huge"], ["nothing"], keepdims=0))
    model.graph.node[2].input[0] = "sum"
    model.graph.node.insert(2, onnx.helper.make_node("Add", ["latents", "nothing"], ["sum"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2**42]), "size"))
    onnx.save_model(model, path)
    with pytest.raises(FaceForgeError, match=r"cannot be run: it needs more than [\d,]+ MiB of memory") as caught:
        OnnxModel.load(path).generate(np.zeros((2, 1)), np.zeros((2, 0), np.int32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # onnxruntime logs nothing besides


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "g.onnx", **FACTS).read_bytes()
    draw = np.random.default_rng(0)
    for number in range(200):
        damaged = bytearray(whole)
        for place in draw.integers(0, len(whole), 1 + number % 8):
            damaged[place] = draw.integers(0, 256)
        file = tmp_path / "damaged.onnx"
        file.write_bytes(bytes(damaged[: len(whole) - number % 3 * int(draw.integers(0, len(whole)))]))
        with suppress(FaceForgeError):
            OnnxModel.load(file).generate(np.zeros((2, 1)), np.zeros((2, 0), np.int32))
